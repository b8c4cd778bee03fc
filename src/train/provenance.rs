//! `provenance.json`: the program, command, machine and data that made the files of a results folder.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::dataset::store::RecordFile;
use crate::error::{Error, Result};
use crate::files::kind;
use crate::hyperparameters::Hyperparameters;

/// The file's name.
pub const FILE: &str = "provenance.json";

/// The folder of this program's source when it was built.
const SOURCE: &str = env!("CARGO_MANIFEST_DIR");
/// Results in that folder are not part of the source.
const NOT_SOURCE: &str = ":!results";

/// The provenance of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of this program.
    pub version: String,
    /// The commit of its source; `None` if that is not a git working tree, or git is missing.
    pub commit: Option<Commit>,
    /// The command line: the name of the program, then the arguments as typed.
    pub command: Vec<String>,
    /// The seed of the random start, the shuffling and the flips.
    pub seed: u64,
    /// The hyperparameters of each run; empty in files of earlier versions.
    #[serde(default)]
    pub hyperparameters: Vec<Hyperparameters>,
    /// The data files: training, validation, test.
    pub data: Vec<DataFile>,
    /// The processor's name as the operating system gives it.
    pub processor: String,
    /// Number of threads.
    pub threads: usize,
    /// The operating system and architecture that the program was built for, such as `linux x86_64`.
    pub platform: String,
}

/// A commit of this program's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its hash, in hexadecimal digits.
    pub id: String,
    /// True if files under version control differed from it.
    pub modified: bool,
}

/// A data file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its SHA-256, in lower-case hexadecimal digits, as checked when it was loaded.
    pub sha256: String,
}

impl From<RecordFile> for DataFile {
    fn from(file: RecordFile) -> Self {
        Self { name: file.name.into(), sha256: file.sha256.into() }
    }
}

impl Provenance {
    /// The provenance of a training that runs now: started by `command`, of runs with `hyperparameters`, on `files`.
    ///
    /// # Panics
    ///
    /// If there is no run.
    pub fn collect(command: &[String], hyperparameters: Vec<Hyperparameters>, files: &[RecordFile]) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: commit(Path::new(SOURCE)),
            command: command.to_vec(),
            seed: hyperparameters[0].seed,
            hyperparameters,
            data: files.iter().map(|&file| file.into()).collect(),
            processor: processor(),
            threads: rayon::current_num_threads(),
            platform: format!("{} {}", env::consts::OS, env::consts::ARCH),
        }
    }

    /// The content of `provenance.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("text and numbers are valid JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`to_json`](Self::to_json) wrote. `path` is named in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if `bytes` is not JSON or lacks a field.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            let found = kind::describe_json(&e, bytes);
            Error::format(path, format!("must be the provenance of a training, but {found}: train again, or remove it"))
        })
    }
}

/// The processor's name as the operating system gives it.
fn processor() -> String {
    let name = if cfg!(target_os = "macos") {
        output(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]))
    } else if cfg!(windows) {
        env::var("PROCESSOR_IDENTIFIER").ok()
    } else {
        fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| processor_in(&text))
    };
    match name.as_deref().map_or("", str::trim) {
        "" => "unknown".into(),
        name => name.into(),
    }
}

/// The name of the first processor in Linux's `/proc/cpuinfo`. On 64-bit Arm, which has only numbers there: the numbers.
fn processor_in(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, value)| name.trim() == key && !value.trim().is_empty()).map(|(_, value)| value.trim())
    };
    let numbers = || Some(format!("CPU implementer {}, part {}", value("CPU implementer")?, value("CPU part")?));
    value("model name").map(str::to_owned).or_else(numbers)
}

/// The commit of the git working tree at `source`; `None` if it is not the top of one, or git is missing.
fn commit(source: &Path) -> Option<Commit> {
    // A package's source may lie inside the working tree of another project.
    let head = git(source, &["rev-parse", "--show-prefix", "HEAD"])?;
    let (prefix, id) = head.split_once('\n')?;
    let changes = git(source, &["status", "--porcelain", "--untracked-files=no", "--", NOT_SOURCE])?;
    prefix.is_empty().then(|| Commit { id: id.trim().into(), modified: !changes.is_empty() })
}

/// The output of git in `folder`; `None` if it fails.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // Set by git's hooks, these would point to another working tree.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(variable);
    }
    git.env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(folder);
    output(git.args(arguments))
}

/// What `command` prints; `None` if it fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = output.status.success().then_some(output.stdout)?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::BatchFile;

    fn provenance() -> Provenance {
        Provenance {
            version: "0.1.0".into(),
            commit: Some(Commit { id: "01e2383".into(), modified: true }),
            command: vec!["onelayer".into(), "train".into(), "--out=a \"b\"".into()],
            seed: u64::MAX,
            hyperparameters: vec![Hyperparameters { seed: u64::MAX, ..Hyperparameters::default() }],
            data: vec![RecordFile::from(BatchFile::Test).into()],
            processor: "A processor".into(),
            threads: 2,
            platform: "linux x86_64".into(),
        }
    }

    #[test]
    fn a_provenance_reads_back_as_it_was() {
        for commit in [provenance().commit, None] {
            let provenance = Provenance { commit, ..provenance() };
            let read = Provenance::from_json(&provenance.to_json(), Path::new(FILE)).unwrap();
            assert_eq!(read, provenance);
        }
    }

    #[test]
    fn a_file_without_hyperparameters_is_readable() {
        let mut json: serde_json::Value = serde_json::from_slice(&provenance().to_json()).unwrap();
        json.as_object_mut().unwrap().remove("hyperparameters").unwrap();
        let read = Provenance::from_json(json.to_string().as_bytes(), Path::new(FILE)).unwrap();
        assert_eq!(read, Provenance { hyperparameters: Vec::new(), ..provenance() });
    }

    #[test]
    fn other_json_is_refused_in_one_line_that_names_the_file() {
        for bytes in [&b"{}"[..], b"", b"[1]", &provenance().to_json()[..40]] {
            let error = Provenance::from_json(bytes, Path::new(FILE)).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("provenance.json: must be"), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
    }

    /// Runs git; false if it fails or is missing.
    fn did(folder: &Path, arguments: &[&str]) -> bool {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        git(folder, &[&identity, arguments].concat()).is_some()
    }

    #[test]
    fn a_commit_is_named_and_a_changed_file_noticed_unless_it_is_a_result() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path();
        let write = |name: &str, text: &str| fs::write(path.join(name), text).unwrap();
        assert_eq!(commit(path), None, "a folder without git has no commit");
        if !did(path, &["init", "-q"]) {
            eprintln!("skipped: there is no git");
            return;
        }
        fs::create_dir_all(path.join("results/inner")).unwrap();
        write("source", "1");
        write("results/table", "1");
        assert_eq!(commit(path), None, "nothing is committed yet");
        assert!(did(path, &["add", "."]) && did(path, &["commit", "-q", "-m", "a"]));

        let found = commit(path).unwrap();
        assert_eq!((found.id.len(), found.modified), (40, false));
        assert_eq!(commit(&path.join("results")), None, "a folder inside is not the source");
        write("results/table", "2");
        write("untracked", "1");
        assert!(!commit(path).unwrap().modified);
        write("source", "2");
        assert!(commit(path).unwrap().modified);
    }

    #[test]
    fn the_processor_is_the_first_one_of_linux() {
        let x86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 85\nmodel name\t: A processor @ 2 GHz\n\
            \nprocessor\t: 1\nmodel name\t: another\n";
        assert_eq!(processor_in(x86).unwrap(), "A processor @ 2 GHz");
        let arm = "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n";
        assert_eq!(processor_in(arm).unwrap(), "CPU implementer 0x41, part 0xd0c");
        for unnamed in ["", "processor\t: 0\n", "model name\t: \n"] {
            assert_eq!(processor_in(unnamed), None);
        }
    }

    #[test]
    fn a_provenance_is_collected_on_any_machine() {
        let command = ["onelayer".to_owned(), "train".to_owned()];
        let provenance = Provenance::collect(&command, vec![Hyperparameters::default()], &[]);
        assert_eq!((&provenance.command[..], provenance.seed), (&command[..], 42));
        assert!(!provenance.processor.is_empty() && provenance.threads > 0);
    }

    #[test]
    fn the_output_of_a_program_is_text_and_that_of_a_failure_none() {
        let cargo = || Command::new(env!("CARGO"));
        assert!(output(cargo().arg("--version")).unwrap().starts_with("cargo "));
        assert_eq!(output(cargo().arg("no-such-command")), None);
        assert_eq!(output(&mut Command::new("/nowhere/a-program")), None);
    }

    #[test]
    fn a_provenance_names_the_data_the_program_and_the_machine() {
        let hyperparameters = vec![
            Hyperparameters { seed: 7, ..Hyperparameters::default() },
            Hyperparameters { seed: 7, lambda: 0.5, ..Hyperparameters::default() },
        ];
        let files = [BatchFile::Train(1), BatchFile::Test].map(RecordFile::from);
        let found = Provenance::collect(&[], hyperparameters.clone(), &files);
        assert_eq!((found.seed, &found.hyperparameters), (7, &hyperparameters));
        assert_eq!(found.version, env!("CARGO_PKG_VERSION"));
        let data = files.map(|file| DataFile { name: file.name.into(), sha256: file.sha256.into() });
        assert_eq!(found.data, data);
        assert_eq!(found.data[0].name, "data_batch_1.bin");
        assert_eq!(found.platform, format!("{} {}", env::consts::OS, env::consts::ARCH));
        assert!(found.commit.is_none_or(|commit| commit.id.len() == 40));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_processor_of_this_machine_is_the_one_that_linux_names() {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap();
        let named = text.lines().find(|line| line.starts_with("model name") && line.contains(": "));
        match named.and_then(|line| line.split_once(": ")) {
            Some((_, name)) => assert_eq!(processor(), name.trim()),
            None => assert!(!processor().is_empty()),
        }
    }

    #[test]
    fn the_file_is_indented_json_that_ends_with_a_line_break() {
        let text = String::from_utf8(provenance().to_json()).unwrap();
        assert!(text.starts_with("{\n  \"version\": \"0.1.0\",\n  \"commit\": {\n    \"id\": \"01e2383\","), "{text}");
        assert!(text.ends_with("\"platform\": \"linux x86_64\"\n}\n"), "{text}");
        let error = Provenance::from_json(b"[1]", Path::new("a/b.json")).unwrap_err().to_string();
        assert!(error.ends_with(": train again, or remove it"), "{error}");
    }
}
