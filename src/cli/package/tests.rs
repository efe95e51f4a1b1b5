use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;

/// A program of this machine stands for the binary: an ELF file like any other.
const PROGRAM: &str = "/bin/true";

fn args(root: &Path, out: &Path) -> Args {
    Args {
        out: out.to_owned(),
        root: root.to_owned(),
        binary: Some(PROGRAM.into()),
        glibc: "2.99".parse().unwrap(),
        json: false,
    }
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of the project at another place and with other times.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_into(&project(), folder.path());
    folder
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let is_made = ["target", "node_modules", "dist"].iter().any(|made| name == *made);
        if is_made || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            copy_into(&path, &to.join(name));
        } else {
            // Written anew, so that its time is another one.
            fs::write(to.join(name), fs::read(path).unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn the_same_project_gives_the_same_bytes_wherever_it_lies() {
    let (one, other, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), copy());
    let first = pack(&args(&project(), one.path())).await.unwrap();
    let second = pack(&args(copied.path(), other.path())).await.unwrap();
    assert_eq!(first.sha256, second.sha256);
    for name in ["app.zip", "app.zip.sha256", "sbom.cdx.json"] {
        let read = |folder: &tempfile::TempDir| fs::read(folder.path().join(name)).unwrap();
        assert!(read(&one) == read(&other), "{name} differs");
    }
    // Once more over what is there.
    let again = pack(&args(&project(), one.path())).await.unwrap();
    assert_eq!(first.sha256, again.sha256);
    assert!(first.components > 100);
}

#[tokio::test]
async fn the_zip_is_laid_out_as_the_host_wants_it() {
    let out = tempfile::tempdir().unwrap();
    let report = pack(&args(&project(), out.path())).await.unwrap();
    let listed = Command::new("python3")
        .args(["-c", LIST, &report.zip.display().to_string()])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<&str> = listed.lines().collect();
    for line in
        ["755 concord", "644 host.json", "644 events/function.json", "644 maps/concord.toml"]
    {
        assert!(lines.contains(&line), "{line} is not in\n{listed}");
    }
    let hidden = |line: &&str| line.contains("settings") || line.contains("functions/");
    assert_eq!(lines.iter().find(|line| hidden(line)), None);
    let staged = out.path().join("app/concord").metadata().unwrap().permissions().mode();
    assert_eq!(staged & 0o777, 0o755);
}

/// Reads every entry, which checks its sum, and shows permissions and names.
const LIST: &str = r"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for entry in archive.infolist():
        assert entry.date_time == (1980, 1, 1, 0, 0, 0), entry
        print(f'{entry.external_attr >> 16 & 0o777:o}', entry.filename)
";

async fn refusal(change: impl FnOnce(&Path)) -> String {
    let (copied, out) = (copy(), tempfile::tempdir().unwrap());
    change(copied.path());
    pack(&args(copied.path(), out.path())).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_the_host_would_trip_over_is_refused() {
    let edited = |file: &'static str, from: &'static str, to: &'static str| {
        move |root: &Path| {
            let path = root.join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(path, text.replace(from, to)).unwrap();
        }
    };
    let path = refusal(edited("host.json", "\"concord\"", "\"./concord\"")).await;
    assert!(path.contains("bare name"), "{path}");
    let stray = refusal(|root| fs::write(root.join("functions/work/run.sh"), "").unwrap()).await;
    assert!(stray.contains("nothing else"), "{stray}");
    let lacking = refusal(|root| fs::remove_dir_all(root.join("functions/sweep")).unwrap()).await;
    assert!(lacking.contains("sweep"), "{lacking}");
    let map = refusal(edited("maps/sales-account.toml", "table", "row_of")).await;
    assert!(map.contains("sales-account.toml"), "{map}");
    let setting = edited("functions/sweep/function.json", "%SWEEP_CRON%", "%SWEEP_CORN%");
    assert!(refusal(setting).await.contains("SWEEP_CORN"));
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_not_emptied() {
    let out = tempfile::tempdir().unwrap();
    fs::create_dir(out.path().join("app")).unwrap();
    fs::write(out.path().join("app/thesis.txt"), "years").unwrap();
    let refused = pack(&args(&project(), out.path())).await.unwrap_err().to_string();
    assert!(refused.contains("--out") && out.path().join("app/thesis.txt").is_file());
}
