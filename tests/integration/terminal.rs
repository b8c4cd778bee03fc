//! Output on a terminal of 80 columns and into a pipe.

use std::process::{Command, Output};

use tempfile::TempDir;

/// `train` on the sample, with `arguments`.
fn train(out: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(crate::program());
    command.args(["train", "--dataset", "sample", "--epochs", "3", "--out"]).arg(out.path()).args(arguments);
    command
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].concat().try_into().unwrap()
}

/// The command's output on a terminal of 80 columns, as lines without the sequences that move the cursor.
#[cfg(target_os = "linux")]
fn on_terminal(command: &Command) -> Option<Vec<String>> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
    let line = format!("stty cols 80 rows 24; exec {}", shlex::try_join(words).unwrap());
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .output();
    let Ok(output) = output else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: there is no `script`");
        return None;
    };
    assert!(output.status.success(), "{}", text(&output));
    Some(lines(&String::from_utf8(output.stdout).unwrap()))
}

/// The text between the control characters of `output`, in lines of at most 80 characters, after which a terminal
/// wraps. A sequence is ESC [, parameters and a letter.
fn lines(output: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = output.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                let last = rest.by_ref().skip(1).find(|c| c.is_ascii_alphabetic());
                // Colours do not move the cursor.
                if last != Some('m') {
                    lines.push(String::new());
                }
            }
            '\r' | '\n' => lines.push(String::new()),
            c => {
                if lines.last().unwrap().chars().count() == 80 {
                    lines.push(String::new());
                }
                lines.last_mut().unwrap().push(c);
            }
        }
    }
    lines
}

#[cfg(target_os = "linux")]
#[test]
fn bars_and_tables_fit_into_80_columns_on_a_terminal() {
    for arguments in [
        &[][..],
        // Names, learning rates and losses much longer than the report's.
        &["--lambda", "0.0123456789", "--eta", "0.000123456789"],
        &["--loss", "bce", "--decay-every", "2", "--decay-factor", "0.12345", "--eta", "3"],
    ] {
        let out = tempfile::tempdir().unwrap();
        let Some(lines) = on_terminal(&train(&out, arguments)) else {
            return;
        };
        assert!(lines.iter().any(|line| line.contains('█')), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("setting ")), "{lines:?}");
        // The rest of a line that is too long would be a line of its own.
        for line in lines {
            let begins =
                ["λ = ", "lambda", "setting ", "    ", "the results are in "].map(|start| line.starts_with(start));
            assert!(line.is_empty() || begins.contains(&true), "{line:?}");
            assert!(!line.contains("left") || line.ends_with(" left"), "{line:?}");
        }
    }
}

#[test]
fn the_lines_of_a_terminal_are_separated() {
    let output = "ab\x1b[31mc\x1b[0m\x1b[2K\rlong\r\nend";
    assert_eq!(lines(output), ["abc", "", "long", "", "end"]);
    let wrapped = lines(&format!("{}end", "x".repeat(80)));
    assert_eq!(wrapped[1..], ["end"]);
}

#[test]
fn output_into_a_pipe_has_no_control_characters_and_ends_with_where_the_results_are() {
    let out = tempfile::tempdir().unwrap();
    let command = |arguments: &str| {
        let mut command = Command::new(crate::program());
        command.args(arguments.split(' ')).args(["--dataset", "sample", "--out"]).arg(out.path());
        command
    };
    let shown = out.path().display();
    let by_report = format!("the results are in {shown}; `onelayer report --out {shown}` makes a page of them");
    for (mut command, end) in [
        (train(&out, &[]), format!("the results are in {shown}: open {shown}/report.html")),
        (command("gradcheck --differences 1"), by_report.clone()),
        (command("replicate --seeds 1 --epochs 1 --setting 0,0.001"), by_report.clone()),
        (command("replicate --overfitting --seeds 1 --epochs 1 --setting 0,0.001"), by_report.clone()),
        (command("search --lambda 0 --eta 0.01 --loss softmax --decay none --flip 0 --epochs 1"), by_report.clone()),
        (command(&format!("replicate --seeds 1 --ablate {shown}/best.toml")), by_report),
    ] {
        let output = command.output().unwrap();
        assert_eq!(text(&output).lines().last().unwrap(), end);
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).lines().count() > 3);
        assert!(text(&output).chars().all(|c| c == '\n' || !c.is_control()), "{:?}", text(&output));
    }
}

#[test]
fn timings_divide_the_time_of_training_into_phases() {
    let out = TempDir::new().unwrap();
    let said = text(&train(&out, &["--timings", "--quiet"]).output().unwrap());
    let start = said.find("training and evaluation: ").unwrap_or_else(|| panic!("{said}"));
    assert!(said[..start].contains("load "), "{said}");
    let shares = said[start..].split([':', ',']).skip(1).map(|part| {
        let share = part.trim().strip_suffix(" %").and_then(|part| part.rsplit(' ').next());
        share.and_then(|share| share.parse::<f64>().ok()).unwrap_or_else(|| panic!("{said}"))
    });
    let shares: Vec<_> = shares.collect();
    assert_eq!(shares.len(), 6, "{said}");
    assert!((shares.iter().sum::<f64>() - 100.0).abs() < 0.5 && shares.iter().all(|&share| share > 0.0), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");

    let out = TempDir::new().unwrap();
    let said = text(&train(&out, &["--quiet"]).output().unwrap());
    assert!(!said.contains("training and evaluation"), "{said}");
}
