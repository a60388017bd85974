//! The serial ports that are plugged in.

use std::path::{Path, PathBuf};

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The name to write into a robot file: one that stays the same when other devices are plugged in, where there is one.
    pub name: PathBuf,
    /// Its node now, such as `/dev/ttyACM0`.
    pub node: PathBuf,
}

/// The ports of USB devices, sorted by name: those that `dev` (`/dev`) has a name for by maker and serial number, and others.
pub fn list(dev: &Path) -> Vec<Port> {
    let entries = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut ports: Vec<Port> = entries(dev.join("serial/by-id"))
        .into_iter()
        .filter_map(|name| {
            let node = std::fs::canonicalize(&name).ok()?;
            Some(Port { name, node })
        })
        .collect();
    for node in entries(dev.to_owned()) {
        let name = node
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let usb = ["ttyUSB", "ttyACM", "cu.usb"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if usb && ports.iter().all(|port| port.node != node) {
            ports.push(Port {
                name: node.clone(),
                node,
            });
        }
    }
    ports.sort();
    ports
}
