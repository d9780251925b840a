//! The directory of the store and the file system that it is on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::report::{Doubt, Finding, MAKE_ROOM, Report};
use crate::error::{Error, IoContext};
use crate::store::file::atomic;
use crate::sys::file::{self, Room};
use crate::sys::pipe;
use crate::sys::watch::Watch;
use crate::units::format_size;
use crate::words::counted;

pub(super) const MAKE_WRITABLE: &str = "use it as its owner on a writable file system, or use another store";
/// More than the records of a job take.
const RECORDS: usize = 64 * 1024;
/// With less room than this, a few jobs with much output can fill the disk.
const LITTLE_ROOM: u64 = 64 << 20;
/// A job takes about twenty files and directories.
const FEW_FILES: u64 = 2000;

pub(super) fn examine(root: &Path, report: &mut Report) {
    let probe = match Probe::make(root) {
        Ok(probe) => probe,
        Err(error) if error.is_full() => return report.add("room", Err(error.into())),
        Err(error) => {
            return report.add("store", Err(Doubt::from(error).advise(MAKE_WRITABLE)));
        }
    };
    report.add("store", directory(root));
    report.add("room", room(&probe, root));
    report.add("file_system", file_system(root));
    if let Some(doubt) = output_doubt(&probe, root) {
        report.add("following", Err(doubt));
    }
}

/// A file in the store that is removed when it is dropped. Should this process be killed before, it is removed later
/// like all staged files.
struct Probe {
    path: PathBuf,
    file: File,
}

impl Probe {
    fn make(root: &Path) -> Result<Self, Error> {
        let path = atomic::staged(&root.join("doctor"));
        // A process with the same number may have died here.
        let _ = fs::remove_file(&path);
        let file = atomic::create_file(&path).context("write", &path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn directory(root: &Path) -> Finding {
    let mode = fs::metadata(root).context("look at", root)?.mode() & 0o777;
    let shown = root.display();
    if mode & 0o077 != 0 {
        let detail = format!("`{shown}` has mode {mode:o}: other users can see which jobs there are");
        return Err(Doubt::degraded(detail).advise(format!("`chmod 700 {shown}`")));
    }
    Ok(format!("`{shown}` is writable, and only by its owner"))
}

fn room(probe: &Probe, root: &Path) -> Finding {
    let Room { bytes: free, files } = file::room(root).context("look at", root)?;
    if let Err(error) = (&probe.file).write_all(&[b' '; RECORDS]) {
        // Tested with a real write: a quota shows in no other way.
        let detail = format!("the records of a job cannot be written, with {} free: {error}", format_size(free));
        return Err(Doubt::failed(detail).advise(MAKE_ROOM));
    }
    if free < LITTLE_ROOM {
        let detail =
            format!("{} free: jobs continue when the disk is full, but their output is dropped", format_size(free));
        return Err(Doubt::degraded(detail).advise(MAKE_ROOM));
    }
    if let Some(files) = files.filter(|files| *files < FEW_FILES) {
        let detail =
            format!("{} can be created, and a job takes about twenty", counted(files, "more file", "more files"));
        return Err(Doubt::degraded(detail).advise(MAKE_ROOM));
    }
    Ok(format!("{} free", format_size(free)))
}

const NETWORK: &str = "processes of other machines are not visible, and its locks may not hold: not supported";
const REMOTE_HOST: &str = "it is served by a program or another machine, and its locks may not hold: not supported";
const VOLATILE: &str = "it is in memory: recorded jobs are lost after a restart";
const LAYERED: &str = "it is a layer of a container: recorded jobs are lost with the container";
const FOREIGN: &str = "it lacks the owners and named pipes that jobs need";

/// File systems by the number that statfs(2) reports, with the consequences for jobs, if any.
const FILE_SYSTEMS: [(u32, &str, Option<&str>); 22] = [
    (0x6969, "nfs", Some(NETWORK)),
    (0x517b, "smb", Some(NETWORK)),
    (0xff53_4d42, "cifs", Some(NETWORK)),
    (0xfe53_4d42, "smb2", Some(NETWORK)),
    (0x5346_414f, "afs", Some(NETWORK)),
    (0x00c3_6400, "ceph", Some(NETWORK)),
    (0x0bd0_0bd0, "lustre", Some(NETWORK)),
    (0x4750_4653, "gpfs", Some(NETWORK)),
    (0x0102_1997, "9p", Some(REMOTE_HOST)),
    (0x6573_5546, "fuse", Some(REMOTE_HOST)),
    (0x794c_7630, "overlay", Some(LAYERED)),
    (0x0102_1994, "tmpfs", Some(VOLATILE)),
    (0x8584_58f6, "ramfs", Some(VOLATILE)),
    (0x4d44, "fat", Some(FOREIGN)),
    (0x2011_bab0, "exfat", Some(FOREIGN)),
    (0x7366_746e, "ntfs", Some(FOREIGN)),
    (0xef53, "ext4", None),
    (0x5846_5342, "xfs", None),
    (0x9123_683e, "btrfs", None),
    (0x2fc1_2fc1, "zfs", None),
    (0xf2f5_2010, "f2fs", None),
    (0xca45_1a4e, "bcachefs", None),
];

fn file_system(root: &Path) -> Finding {
    match file::system(root).context("look at", root)? {
        Some(number) => judge(number),
        None => Ok("unknown".to_owned()),
    }
}

fn judge(number: u32) -> Finding {
    match FILE_SYSTEMS.iter().find(|(of, ..)| *of == number) {
        None => Ok(format!("unknown (number {number:x})")),
        Some((_, name, None)) => Ok((*name).to_owned()),
        Some((_, name, Some(meaning))) => {
            let advice = "use a store on a local disk, such as ext4, xfs or btrfs";
            Err(Doubt::degraded(format!("{name}: {meaning}")).advise(advice))
        }
    }
}

/// Returns why followers of output have to poll, or why bytes may be lost on their way into the log. This is tested
/// with a pipe, a file and a watch like those of a supervisor and a follower.
fn output_doubt(probe: &Probe, root: &Path) -> Option<Doubt> {
    let looks = "waits are woken, but following output polls twice a second";
    let watch = match Watch::new().and_then(|watch| watch.writes(root).map(|()| watch)) {
        Ok(watch) => watch,
        Err(error) => {
            let advice = "raise `fs.inotify.max_user_instances` and `fs.inotify.max_user_watches` with sysctl(8)";
            return Some(Doubt::degraded(format!("files cannot be watched ({error}): {looks}")).advise(advice));
        }
    };
    if let Err(error) = move_byte(&probe.file) {
        let detail = format!(
            "output cannot be spliced into files here ({error}): if a supervisor is killed, one buffer of \
             output may be lost"
        );
        return Some(Doubt::degraded(detail).advise("use a store on another file system"));
    }
    let is_told = watch.has_word().is_ok_and(|has_word| has_word);
    (!is_told).then(|| {
        Doubt::degraded(format!("the kernel does not report spliced bytes: {looks}")).advise("Linux 6.8 or later")
    })
}

/// Moves a byte in the way a supervisor moves output.
fn move_byte(file: &File) -> io::Result<()> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(b" ")?;
    pipe::move_into(file, &reader, 0, 1)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileStore;
    use crate::doctor::Health;

    #[test]
    fn an_unsupported_file_system_is_reported() {
        let health = |number| judge(number).err().map(|doubt| doubt.health);
        assert_eq!(health(0x6969), Some(Health::Degraded));
        assert_eq!(health(0xef53), None);
        assert_eq!(judge(0x1234), Ok("unknown (number 1234)".to_owned()));
    }

    #[test]
    fn a_probe_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        FileStore::open(&root).unwrap();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = names();
        let mut report = Report::default();
        examine(&root, &mut report);
        assert_eq!(names(), before);
        assert_eq!(report.failed().count(), 0, "{report:?}");
        assert!(report.steps.iter().any(|step| step.name == "room"));
    }

    #[test]
    fn a_store_that_others_can_read_is_reported() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let doubt = super::directory(directory.path()).unwrap_err();
        assert!(doubt.detail.contains("mode 755"), "{doubt:?}");
        assert!(doubt.advice.unwrap().starts_with("`chmod 700"));
    }
}
