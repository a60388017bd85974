//! Which camera is which. `/dev/video0` is whichever camera was plugged in first, and one that was pulled out and put back has another
//! number: cameras are named by their serial number, or by the socket that they are plugged into.

use std::fs;
use std::path::{Path, PathBuf};

/// A camera that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Its node now, such as `/dev/video0`.
    pub node: PathBuf,
    /// What its driver calls it.
    pub name: String,
    /// Where it is plugged in: `usb-1-2.3` is socket 3 of the hub in socket 2 of bus 1. Other buses: `platform-vivid.0`.
    pub port: String,
    /// Maker, product and serial number of a USB camera: `usb-046d:0825-5A3B12`. Many cameras have no serial number: `usb-046d:0825`.
    pub model: Option<String>,
    /// Whether `model` has a serial number.
    pub has_serial: bool,
}

/// Why a name stands for no camera, or for more than one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// None has this name.
    #[error("device: no camera is called {name:?}; {}", plugged_in(.cameras))]
    None {
        /// What was asked for.
        name: String,
        /// Those that are there.
        cameras: Vec<Identity>,
    },
    /// Several do: they have no serial number.
    #[error("device: several cameras are called {name:?}; write the socket instead; {}", plugged_in(.cameras))]
    Several {
        /// What was asked for.
        name: String,
        /// Those that are there.
        cameras: Vec<Identity>,
    },
}

fn plugged_in(cameras: &[Identity]) -> String {
    if cameras.is_empty() {
        return "none is plugged in: check the cable".to_owned();
    }
    let lines: Vec<String> = cameras
        .iter()
        .map(|camera| {
            format!(
                "{:?} ({}, now {})",
                camera.stable(),
                camera.name,
                camera.node.display()
            )
        })
        .collect();
    format!("plugged in: {}", lines.join(", "))
}

impl Identity {
    /// The name to write into a robot file: with the serial number where there is one, otherwise the socket.
    pub fn stable(&self) -> &str {
        match &self.model {
            Some(model) if self.has_serial => model,
            _ => &self.port,
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.port == name || self.model.as_deref() == Some(name)
    }
}

/// Finds a camera by socket, by model with or without serial number, or by its node (`/dev/...`, links included).
///
/// # Errors
/// [`FindError`], which lists the cameras that are there.
pub fn find(name: &str, cameras: &[Identity]) -> Result<Identity, FindError> {
    let node = name
        .starts_with('/')
        .then(|| fs::canonicalize(name).unwrap_or_else(|_| PathBuf::from(name)));
    let mut found = cameras.iter().filter(|camera| match &node {
        Some(node) => camera.node == *node,
        None => camera.is_called(name),
    });
    match (found.next(), found.next()) {
        (Some(camera), None) => Ok(camera.clone()),
        (None, _) => Err(FindError::None {
            name: name.to_owned(),
            cameras: cameras.to_vec(),
        }),
        (Some(_), Some(_)) => Err(FindError::Several {
            name: name.to_owned(),
            cameras: cameras.to_vec(),
        }),
    }
}

/// The cameras below `class` (`/sys/class/video4linux`), with nodes in `dev` (`/dev`), sorted by socket. A camera's further nodes, such
/// as that of its metadata, are left out: theirs have another `index` than 0.
pub fn list(class: &Path, dev: &Path) -> Vec<Identity> {
    let Ok(entries) = fs::read_dir(class) else {
        return Vec::new();
    };
    let mut cameras: Vec<Identity> = entries
        .flatten()
        .filter(|entry| read(&entry.path().join("index")).as_deref() == Some("0"))
        .map(|entry| one(&entry.path(), dev.join(entry.file_name())))
        .collect();
    cameras.sort_by(|a, b| (&a.port, &a.node).cmp(&(&b.port, &b.node)));
    cameras
}

fn one(entry: &Path, node: PathBuf) -> Identity {
    let name = read(&entry.join("name")).unwrap_or_default();
    // For USB, an interface such as `1-2:1.0`; its parent is the camera itself.
    let device = fs::canonicalize(entry.join("device")).unwrap_or_default();
    let camera = device.parent().unwrap_or(&device);
    let last = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let (Some(vendor), Some(product)) = (read(&camera.join("idVendor")), read(&camera.join("idProduct")))
    else {
        let bus =
            fs::canonicalize(device.join("subsystem")).map_or_else(|_| "other".to_owned(), |bus| last(&bus));
        return Identity {
            node,
            name,
            port: format!("{bus}-{}", last(&device)),
            ..Identity::default()
        };
    };
    let serial = read(&camera.join("serial")).filter(|serial| !serial.is_empty());
    let model = match &serial {
        Some(serial) => format!("usb-{vendor}:{product}-{serial}"),
        None => format!("usb-{vendor}:{product}"),
    };
    Identity {
        node,
        name,
        port: format!("usb-{}", last(camera)),
        model: Some(model),
        has_serial: serial.is_some(),
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder like `/sys`, with a USB camera (a capture node and one of metadata) in each of `sockets`, and one that is no USB camera.
    fn sys(root: &Path, sockets: &[(&str, Option<&str>)]) -> PathBuf {
        let class = root.join("class");
        fs::create_dir_all(&class).unwrap();
        for (i, (socket, serial)) in sockets.iter().enumerate() {
            let camera = root.join("devices/usb1").join(socket);
            fs::create_dir_all(camera.join("interface")).unwrap();
            fs::write(camera.join("idVendor"), "046d\n").unwrap();
            fs::write(camera.join("idProduct"), "0825\n").unwrap();
            if let Some(serial) = serial {
                fs::write(camera.join("serial"), format!("{serial}\n")).unwrap();
            }
            for index in 0..2 {
                let entry = class.join(format!("video{}", 2 * i + index));
                fs::create_dir_all(&entry).unwrap();
                fs::write(entry.join("index"), format!("{index}\n")).unwrap();
                fs::write(entry.join("name"), "Camera C270\n").unwrap();
                std::os::unix::fs::symlink(camera.join("interface"), entry.join("device")).unwrap();
            }
        }
        let vivid = root.join("devices/platform/vivid.0");
        fs::create_dir_all(&vivid).unwrap();
        fs::create_dir_all(root.join("bus/platform")).unwrap();
        std::os::unix::fs::symlink(root.join("bus/platform"), vivid.join("subsystem")).unwrap();
        let entry = class.join("video9");
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("index"), "0\n").unwrap();
        std::os::unix::fs::symlink(&vivid, entry.join("device")).unwrap();
        class
    }

    #[test]
    fn cameras_are_found_by_socket_serial_and_node() {
        let root = tempfile::tempdir().unwrap();
        let class = sys(root.path(), &[("1-2", Some("5A3B")), ("1-4.1", None)]);
        let cameras = list(&class, Path::new("/dev"));
        let names: Vec<&str> = cameras.iter().map(Identity::stable).collect();
        assert_eq!(names, ["platform-vivid.0", "usb-046d:0825-5A3B", "usb-1-4.1"]);
        let node = |name: &str| find(name, &cameras).unwrap().node;
        assert_eq!(node("usb-046d:0825-5A3B"), Path::new("/dev/video0"));
        assert_eq!(node("usb-1-2"), Path::new("/dev/video0"));
        assert_eq!(node("usb-046d:0825"), Path::new("/dev/video2"));
        assert_eq!(node("/dev/video2"), Path::new("/dev/video2"));
        assert_eq!(node("platform-vivid.0"), Path::new("/dev/video9"));
    }

    #[test]
    fn names_of_none_or_several_are_refused_with_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        let class = sys(root.path(), &[("1-2", None), ("1-3", None)]);
        let cameras = list(&class, Path::new("/dev"));
        let error = find("usb-046d:0825", &cameras).unwrap_err().to_string();
        assert!(
            error.contains("several cameras") && error.contains("usb-1-3"),
            "{error}"
        );
        let error = find("usb-1-9", &cameras).unwrap_err().to_string();
        assert!(
            error.contains("usb-1-2") && error.contains("/dev/video2"),
            "{error}"
        );
        assert_eq!(list(&root.path().join("nowhere"), Path::new("/dev")), []);
    }
}
