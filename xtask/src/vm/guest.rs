//! What is in the machine: busybox, the kernel's modules, our programs, and the checks as scripts.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::archive::Archive;
use super::checks::Check;
use super::kernel::Kernel;
use super::machine::Tools;
use super::{Group, programs};

/// The model that drives the arm of the group `loop`.
const BUNDLE: &str = "models/reach-planar";

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
  killall -q -KILL $(ls /programs)
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
GADGET=/sys/kernel/config/usb_gadget
# A USB serial gadget, which is not plugged in yet.
make_gadget() {
  mount -t configfs none /sys/kernel/config
  cd $GADGET
  mkdir -p arm/strings/0x409 arm/configs/c.1 arm/functions/acm.0
  echo 0x1234 > arm/idVendor; echo 0x5679 > arm/idProduct; echo NEAR0001 > arm/strings/0x409/serialnumber
  ln -s arm/functions/acm.0 arm/configs/c.1/
  cd /
}
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
# episode SEED [camera|cable SECONDS]: the model drives an arm for 60 periods, or until so many seconds after the camera or the cable
# is pulled out. Ends as `armillary run` does.
episode() {
  logs=/tmp/episode-$1
  usb_arm /robot.ron "$@" & arm=$!
  [ -e /dev/ttyACM0 ] || echo dummy_udc.0 > $GADGET/arm/UDC
  until [ -e /dev/ttyACM0 ] && armillary find-cameras 2> /dev/null | grep ARM0001; do sleep 0.1; done
  armillary run --robot /robot.ron --bundle /bundle --out $logs --seed $1; rc=$?
  kill $arm; wait $arm || return 2
  log_figures $logs/*.mcap || return 2
  armillary replay $logs/*.mcap --bundle /bundle | sed 's/.*: \([0-9]*\) actions reproduced.*/figures: replayed \1/'
  return $rc
}
"#;

/// The modules that a group's preparation loads.
fn modules(group: Group) -> &'static [&'static str] {
    match group {
        Group::Camera | Group::Portable => &["vivid"],
        Group::Uvc => &["vhci_hcd", "uvcvideo"],
        Group::Serial => &["xhci_pci", "ftdi_sio", "dummy_hcd", "usb_f_acm", "cdc_acm"],
        Group::Loop => &["vhci_hcd", "uvcvideo", "dummy_hcd", "usb_f_acm", "cdc_acm"],
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
            "load xhci_pci; load ftdi_sio; load dummy_hcd; load usb_f_acm; load cdc_acm; make_gadget\n"
        }
        Group::Loop => {
            "load vhci_hcd; load uvcvideo; load dummy_hcd; load usb_f_acm; load cdc_acm; make_gadget\n"
        }
    }
}

/// The file system of a machine that does `checks`. What is made on the way goes into `folder`.
pub(crate) fn image(
    group: Group,
    checks: &[&Check],
    kernel: &Kernel,
    folder: &Path,
    tools: &Tools,
) -> anyhow::Result<Vec<u8>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("{}: cannot read", path.display()));
    let mut archive = Archive::default();
    for folder in ["proc", "sys", "dev", "tmp"] {
        archive.folder(folder);
    }
    archive.file("bin/busybox", &read(&tools.busybox)?);
    let root = crate::root();
    programs::add(&mut archive, group, &root, folder, tools)?;
    if group == Group::Loop {
        archive.file("robot.ron", include_bytes!("usb_arm.ron"));
        for path in files::list(&root.join(BUNDLE))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("bundle/{name}"), &read(&path)?);
        }
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
