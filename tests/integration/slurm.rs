//! Runs the job array of examples/slurm/replicate.sh under a real Slurm: one node on loopback, its files in a temporary
//! folder. Without Slurm, or as another user than root, the test prints a message and checks nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::replicate::{succeed, words};
use crate::results::assert_same;

/// Seeds of the replication, and its three shards.
const SEEDS: usize = 30;
const OPTIONS: [&str; 4] = ["--dataset", "sample", "--epochs", "8"];

/// The daemons of a cluster with one node.
struct Slurm {
    daemons: Vec<Child>,
    folder: TempDir,
}

impl Slurm {
    /// `None`, with a message, if Slurm is not installed or may not be started.
    fn start() -> Option<Self> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        let installed = |name: &&str| Command::new(name).arg("-V").output().is_ok();
        if !(root && ["munged", "slurmctld", "slurmd", "sbatch"].iter().all(installed)) {
            // Written directly, because the test harness hides the output of tests that pass.
            let _ = writeln!(std::io::stderr(), "skipped: needs Slurm (slurm-wlm, munge), and root to start it");
            return None;
        }
        let mut slurm = Self { daemons: Vec::new(), folder: tempfile::tempdir().unwrap() };
        slurm.configure();
        let file = |option: &str, name: &str| format!("--{option}={}", slurm.path(name).display());
        let files = [("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("seed-file", "seed")];
        let munge = files.map(|(option, name)| file(option, name));
        slurm.daemon("munged", &[&["--force", "--foreground"][..], &munge.each_ref().map(String::as_str)].concat());
        slurm.wait_for("munge", || slurm.path("socket").exists());
        slurm.daemon("slurmctld", &["-D"]);
        slurm.daemon("slurmd", &["-D", "-N", "node"]);
        slurm.wait_for("an idle node", || slurm.run("sinfo", &["-h", "-o", "%T"]).1 == "idle");
        Some(slurm)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the key and the configuration, and puts the program on the path of the jobs.
    fn configure(&self) {
        let mut key = [0; 64];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut key).unwrap();
        fs::write(self.path("key"), key).unwrap();
        fs::set_permissions(self.path("key"), fs::Permissions::from_mode(0o400)).unwrap();
        for name in ["bin", "state", "spool", "shards"] {
            fs::create_dir(self.path(name)).unwrap();
        }
        symlink(crate::program(), self.path("bin/onelayer")).unwrap();
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let hostname = hostname.trim().split('.').next().unwrap();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [controller, node] = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let folder = self.folder.path().display();
        let configuration = format!(
            "ClusterName=test
SlurmctldHost={hostname}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/socket
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0
NodeName=node NodeAddr=127.0.0.1 NodeHostname={hostname} CPUs=6 RealMemory=4000
PartitionName=all Nodes=node Default=YES
"
        );
        fs::write(self.path("slurm.conf"), configuration).unwrap();
    }

    /// A command with the environment of the cluster, in its folder.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("SLURM_CONF", self.path("slurm.conf")).env("PATH", path).env("SEEDS", SEEDS.to_string());
        command
    }

    fn daemon(&mut self, name: &str, arguments: &[&str]) {
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let child = self.command(name).args(arguments).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        self.daemons.push(child.unwrap());
    }

    /// Runs a command; whether it succeeded, and what it printed.
    fn run(&self, name: &str, arguments: &[&str]) -> (bool, String) {
        let output = self.command(name).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap().trim().into())
    }

    /// Submits the script with `options`, and returns the number of the job.
    fn submit(&self, options: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/slurm/replicate.sh");
        let arguments = [&["--parsable"], options, &[script.to_str().unwrap()], &OPTIONS].concat();
        let (submitted, job) = self.run("sbatch", &arguments);
        assert!(submitted);
        job
    }

    /// Waits until no job is left.
    fn finish(&self) {
        self.wait_for("the end of the jobs", || self.run("squeue", &["-h"]) == (true, String::new()));
    }

    fn wait_for(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            let logs =
                ["munged", "slurmctld", "slurmd"].map(|name| fs::read_to_string(self.path(&format!("{name}.log"))));
            assert!(start.elapsed() < Duration::from_secs(120), "waited too long for {what}: {logs:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The rows in the table of `shard`.
    fn rows(&self, shard: usize) -> usize {
        let table = self.path(&format!("shards/{shard}/replication_shard{shard}of3.csv"));
        fs::read_to_string(table).map_or(0, |text| text.lines().count().saturating_sub(1))
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let _ = daemon.wait();
        }
    }
}

#[test]
fn a_job_array_with_a_killed_task_gives_the_tables_of_one_process() {
    let Some(slurm) = Slurm::start() else { return };
    let job = slurm.submit(&["--array=1-3"]);
    slurm.wait_for("the first seed of task 2", || slurm.rows(2) > 0);
    assert!(slurm.run("scancel", &["--signal=KILL", "--full", &format!("{job}_2")]).0);
    slurm.finish();
    let all = SEEDS / 3 * 4;
    assert!(
        [1, 3].iter().all(|&shard| slurm.rows(shard) == all) && slurm.rows(2) < all,
        "task 2 wasn't killed in time"
    );

    slurm.submit(&["--array=2", "--export=ALL,TASKS=3"]);
    slurm.finish();
    let [merged, whole] = ["merged", "whole"].map(|name| slurm.path(name));
    let folders = [1, 2, 3].map(|shard| slurm.path(&format!("shards/{shard}")));
    succeed(&words(&crate::replicate::merge(&folders, &merged)));
    let seeds = SEEDS.to_string();
    let replicate = ["replicate", "--quiet", "--seeds", &seeds, "--out", whole.to_str().unwrap()];
    succeed(&[&replicate[..], &OPTIONS].concat());
    assert_same(&merged, &whole);
}
