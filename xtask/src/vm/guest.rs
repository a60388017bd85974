//! What is in the machine: busybox, the kernel's modules, our programs, and the checks as scripts.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::archive::Archive;
use super::checks::Check;
use super::kernel::Kernel;
use super::{Group, PORTABLE, PROGRAMS};

/// Runs first. The second serial port is ours alone: the kernel writes to the first.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
exec > /dev/ttyS1 2>&1
. /functions
. /prepare
n=0
for check in /checks/*; do
  echo \"@begin $(cut -d. -f1 /proc/uptime)\"
  timeout -s KILL $(cat /limits/${check#/checks/}) sh $check
  echo \"@end $? $(cut -d. -f1 /proc/uptime)\"
  killall -q -KILL webcam portable uvc_camera usb_serial
done
echo @done
sync
poweroff -f
";

/// What checks and preparations may call.
const FUNCTIONS: &str = r#"
load() { modprobe "$@" || echo "module $1 does not load"; }
VIVID=platform-vivid.0
UVC=usb-1234:5678-SOFT0001
# Waits until a camera is there.
there() {
  for i in $(seq 200); do webcam list > /tmp/list; grep -q "^$1 " /tmp/list && return 0; sleep 0.1; done
  echo "no camera $1"; return 1
}
# with_camera FAULTS COMMAND...: a USB camera is there while the command runs.
with_camera() {
  uvc_camera 600 $1 & camera=$!
  shift
  there $UVC && "$@"; rc=$?
  kill $camera; wait $camera 2> /dev/null
  return $rc
}
# held_up SECONDS...: stops the process $watched for as long, once a second.
held_up() { for s in "$@"; do sleep 1; kill -STOP $watched; sleep $s; kill -CONT $watched; done; }
"#;

/// The modules that a group's preparation loads.
fn modules(group: Group) -> &'static [&'static str] {
    match group {
        Group::Camera | Group::Portable => &["vivid"],
        Group::Uvc => &["vhci_hcd", "uvcvideo"],
        Group::Serial => &["xhci_pci", "ftdi_sio", "dummy_hcd", "usb_f_acm", "cdc_acm"],
    }
}

/// What is done before a group's checks.
fn prepare(group: Group) -> &'static str {
    match group {
        Group::Camera | Group::Portable => {
            "load vivid n_devs=1 node_types=0x1 input_types=0 num_inputs=1
there $VIVID
webcam $VIVID --size 320x180 --format yuyv --frames 10 --set '0,Timestamp Source,1' > /dev/null
"
        }
        Group::Uvc => "load vhci_hcd; load uvcvideo\n",
        Group::Serial => {
            "load xhci_pci; load ftdi_sio; load dummy_hcd; load usb_f_acm; load cdc_acm
mount -t configfs none /sys/kernel/config
cd /sys/kernel/config/usb_gadget
mkdir -p arm/strings/0x409 arm/configs/c.1 arm/functions/acm.0
echo 0x1234 > arm/idVendor; echo 0x5679 > arm/idProduct; echo NEAR0001 > arm/strings/0x409/serialnumber
ln -s arm/functions/acm.0 arm/configs/c.1/
cd /
"
        }
    }
}

/// The file system of a machine that does `checks`.
pub(crate) fn image(
    group: Group,
    checks: &[&Check],
    kernel: &Kernel,
    programs: &Path,
    busybox: &Path,
) -> anyhow::Result<Vec<u8>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("{}: cannot read", path.display()));
    let mut archive = Archive::default();
    for folder in ["proc", "sys", "dev", "tmp"] {
        archive.folder(folder);
    }
    archive.file("bin/busybox", &read(busybox)?);
    let portable = (group == Group::Portable).then_some(PORTABLE);
    for program in PROGRAMS.into_iter().chain(portable) {
        archive.file(&format!("bin/{program}"), &read(&programs.join(program))?);
    }
    let folder = format!("lib/modules/{}", kernel.version);
    let modules = kernel.modules(modules(group))?;
    for (file, content) in &modules {
        archive.file(&format!("{folder}/{file}"), content);
    }
    let index = kernel.index(modules.iter().map(|(file, _)| file));
    archive.file(&format!("{folder}/modules.dep"), index.as_bytes());
    archive.file("init", INIT.as_bytes());
    archive.file("functions", FUNCTIONS.as_bytes());
    archive.file("prepare", prepare(group).as_bytes());
    for (number, check) in checks.iter().enumerate() {
        let script = format!(". /functions\n{}\n", check.script);
        archive.file(&format!("checks/{number:02}"), script.as_bytes());
        archive.file(
            &format!("limits/{number:02}"),
            check.limit_s.to_string().as_bytes(),
        );
    }
    Ok(archive.finish())
}
