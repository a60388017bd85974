//! What this program makes, removes and refuses, in folders with things of others in them.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use files::{NewFolder, OutputError, is_marked};

/// Everything in a folder, hidden entries too, with the contents of files.
fn everything(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
            found.push((path, None));
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            found.push((path, Some(bytes)));
        }
    }
    found.sort();
    found
}

/// Removes a file, a link or an empty folder.
fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn ours(head: &[u8]) -> bool {
    is_marked(head)
}

/// Things of the user's, under names at which a program might grab.
fn users_own(dir: &Path) {
    for name in [
        "set.partial",
        "set.new",
        "set.old",
        "set.tmp",
        ".set.partial",
        ".set.old",
        // Made to look like a scratch folder, but not marked.
        ".armillary-partial-abcdefgh",
    ] {
        fs::create_dir(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("thesis.txt"), "three years of work").unwrap();
    }
    for name in ["a.partial", "a.csv.partial", ".a.csv.partial", "a.new"] {
        fs::write(dir.join(name), "mine").unwrap();
    }
}

#[test]
fn a_folder_appears_whole_and_leaves_what_lies_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    users_own(dir.path());
    let before = everything(dir.path());
    let name = dir.path().join("set");
    // Dropped: nothing of it stays.
    let folder = NewFolder::begin(&name).unwrap();
    fs::write(folder.path().join("half"), "half").unwrap();
    assert!(!name.exists());
    drop(folder);
    assert_eq!(everything(dir.path()), before);
    // Finished: it is there, and nothing else is.
    let folder = NewFolder::begin(&name).unwrap();
    fs::write(folder.path().join("whole"), "whole").unwrap();
    folder.finish().unwrap();
    let mut expected = before;
    expected.push((name.clone(), None));
    expected.push((name.join("whole"), Some(b"whole".to_vec())));
    expected.sort();
    assert_eq!(everything(dir.path()), expected);
    // As any folder is: readable by those whom the umask allows.
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&name), mode(&dir.path().join("set.new")));
}

#[test]
fn a_name_that_is_taken_is_refused_at_the_beginning_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("set");
    for make in [
        |path: &Path| fs::create_dir(path).unwrap(),
        |path: &Path| fs::write(path, "mine").unwrap(),
        |path: &Path| symlink("nowhere", path).unwrap(),
    ] {
        make(&name);
        let refused = NewFolder::begin(&name);
        assert!(matches!(refused, Err(OutputError::Exists { .. })), "{refused:?}");
        remove(&name);
        // It comes to be while the output is made: an empty folder is not replaced either.
        let folder = NewFolder::begin(&name).unwrap();
        fs::write(folder.path().join("whole"), "whole").unwrap();
        make(&name);
        let Err(OutputError::Kept { kept, .. }) = folder.finish() else {
            panic!("finished over {}", name.display())
        };
        assert_eq!(fs::read(kept.join("whole")).unwrap(), b"whole");
        // What was kept stays.
        drop(NewFolder::begin(&dir.path().join("another")).unwrap());
        assert!(kept.join("whole").exists());
        fs::remove_dir_all(kept.parent().unwrap()).unwrap();
        remove(&name);
    }
    for path in ["/", ".."] {
        let refused = NewFolder::begin_over(Path::new(path));
        assert!(matches!(refused, Err(OutputError::NoName { .. })), "{refused:?}");
    }
}

/// A folder as a killed program leaves it: with the marker that `work` has while it is made, under the name that the marker says,
/// and without anybody's lock.
fn left_over(beside: &Path, work: impl FnOnce(&Path)) -> PathBuf {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut made = None;
    let name = elsewhere.path().join("output");
    let work = |file: &Path| -> Result<(), OutputError> {
        work(file);
        let scratch = file.parent().unwrap();
        let left = beside.join(scratch.file_name().unwrap());
        fs::create_dir(&left).unwrap();
        for entry in fs::read_dir(scratch).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), left.join(entry.file_name())).unwrap();
        }
        made = Some(left);
        Ok(())
    };
    files::put_with(&name, &|_| true, work).unwrap();
    made.unwrap()
}

#[test]
fn of_what_a_killed_program_left_only_the_file_that_it_made_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let half = |file: &Path| fs::write(file, "half").unwrap();
    let [left, with_notes, renamed] = [(); 3].map(|()| left_over(dir.path(), half));
    fs::write(with_notes.join("notes.txt"), "mine").unwrap();
    let copy = dir.path().join(".armillary-partial-backup00");
    fs::rename(renamed, &copy).unwrap();
    // Somebody else's, by whatever name: one without a marker, one with another.
    let unmarked = dir.path().join(".armillary-partial-unmarked");
    fs::create_dir(&unmarked).unwrap();
    let others = dir.path().join(".armillary-partial-others00");
    fs::create_dir(&others).unwrap();
    fs::write(others.join(".made-by-armillary"), "my own notes").unwrap();
    // One that works has the lock.
    let running = NewFolder::begin(&dir.path().join("first")).unwrap();
    fs::write(running.path().join("half"), "half").unwrap();
    files::put(&dir.path().join("file"), b"whole", &|_| true).unwrap();
    assert!(!left.exists());
    assert!(with_notes.join("notes.txt").exists() && !with_notes.join("output").exists());
    assert!(copy.join("output").exists() && unmarked.exists() && others.exists());
    assert!(running.path().join("half").exists());
    running.finish().unwrap();
}

#[test]
fn a_folder_is_replaced_only_if_all_of_it_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("bundle");
    let known: BTreeSet<String> = ["a".to_owned(), "b".to_owned()].into();
    let put = |what: &str| {
        let folder = NewFolder::begin_over(&name).unwrap();
        fs::write(folder.path().join("a"), what).unwrap();
        folder.finish_over(&known)
    };
    put("first").unwrap();
    put("second").unwrap();
    assert_eq!(
        everything(dir.path()),
        [(name.clone(), None), (name.join("a"), Some(b"second".to_vec()))]
    );
    for stranger in ["notes.txt", ".hidden"] {
        fs::write(name.join(stranger), "mine").unwrap();
        let before = everything(dir.path());
        let refused = put("third").unwrap_err();
        assert!(refused.to_string().contains(stranger), "{refused}");
        assert_eq!(everything(dir.path()), before);
        fs::remove_file(name.join(stranger)).unwrap();
    }
    // A folder under a known name is none of ours.
    fs::create_dir(name.join("b")).unwrap();
    assert!(matches!(put("third"), Err(OutputError::Mixed { .. })));
    fs::remove_dir_all(&name).unwrap();
    fs::write(&name, "mine").unwrap();
    assert!(matches!(put("third"), Err(OutputError::Foreign { .. })));
    assert_eq!(fs::read(&name).unwrap(), b"mine");
}

#[test]
fn a_file_is_replaced_only_if_it_is_known() {
    let dir = tempfile::tempdir().unwrap();
    users_own(dir.path());
    let others = everything(dir.path());
    let path = dir.path().join("a.csv");
    let page = |text: &str| [b"<!-- ", files::MARK, b" --> ", text.as_bytes()].concat();
    files::put(&path, &page("first"), &ours).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    files::put(&path, &page("second"), &ours).unwrap();
    assert_eq!(fs::read(&path).unwrap(), page("second"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    // An empty file holds nothing.
    fs::write(&path, "").unwrap();
    files::put(&path, &page("third"), &ours).unwrap();
    // Somebody else's.
    fs::write(&path, "three years of work").unwrap();
    let refused = files::put(&path, &page("fourth"), &ours).unwrap_err();
    assert!(
        matches!(refused, OutputError::Foreign { .. }) && refused.to_string().contains("a.csv"),
        "{refused}"
    );
    assert!(files::check(&path, &ours).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"three years of work");
    fs::remove_file(&path).unwrap();
    for make in [
        |path: &Path| fs::create_dir(path).unwrap(),
        |path: &Path| symlink("nowhere", path).unwrap(),
        |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
    ] {
        make(&path);
        let refused = files::put(&path, &page("fourth"), &ours);
        assert!(matches!(refused, Err(OutputError::Foreign { .. })), "{refused:?}");
        remove(&path);
    }
    assert_eq!(everything(dir.path()), others);
    // A writer that fails leaves what was there.
    fs::write(&path, page("fifth")).unwrap();
    let failed = files::put_with(&path, &ours, |file| {
        fs::write(file, "half").unwrap();
        Err(OutputError::NoName {
            path: file.to_owned(),
        })
    });
    assert!(failed.is_err());
    assert_eq!(fs::read(&path).unwrap(), page("fifth"));
}

#[test]
fn a_link_stays_a_link_and_what_it_leads_to_is_edited() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real.ron"), dir.path().join("robot.ron"));
    fs::write(&real, "old").unwrap();
    symlink("real.ron", &link).unwrap();
    files::replace(&link, b"new").unwrap();
    assert_eq!(fs::read(&real).unwrap(), b"new");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn only_regular_files_are_opened_and_nothing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let link = dir.path().join("link");
    symlink("fifo", &link).unwrap();
    for (path, word) in [
        (fifo.as_path(), "FIFO"),
        (&link, "FIFO"),
        (&socket, "socket"),
        (dir.path(), "folder"),
        (Path::new("/dev/null"), "device"),
    ] {
        let error = files::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
        assert!(files::read(path).is_err() && files::read_to_string(path).is_err());
    }
    let text = dir.path().join("text");
    fs::write(&text, "text").unwrap();
    assert_eq!(files::read_to_string(&text).unwrap(), "text");
    fs::write(&text, b"te\xff").unwrap();
    let error = files::read_to_string(&text).unwrap_err();
    assert!(error.to_string().contains("0xFF"), "{error}");
    fs::write(&text, b"\xff\xfet\0e\0").unwrap();
    let error = files::read_to_string(&text).unwrap_err();
    assert!(error.to_string().contains("UTF-16"), "{error}");
    fs::write(&text, "\u{feff}text").unwrap();
    assert_eq!(files::read_to_string(&text).unwrap(), "text");
    // Sparse: it takes no room on the disk, and is refused before it takes any in memory.
    fs::File::create(&text).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(
        files::read_to_string(&text).unwrap_err().kind(),
        ErrorKind::InvalidData
    );
    assert_eq!(
        files::read_to_string(&dir.path().join("none"))
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn hidden_entries_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b", "a", ".DS_Store", "._a"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    assert_eq!(
        files::list(dir.path()).unwrap(),
        [dir.path().join("a"), dir.path().join("b")]
    );
}
