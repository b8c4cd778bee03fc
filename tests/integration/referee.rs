//! The referee for gradients that were computed elsewhere, with real files and the real program: right gradients always
//! pass, and each known mistake is planted and named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use onelayer::files::npy;
use onelayer::files::npz::{self, Elements, Npz};
use onelayer::gradcheck::referee::{
    Answer as Submitted, Exercise, Layout as Arrangement, Quantity, Referee, Submission, Tolerance, Verdict,
};
use onelayer::gradcheck::{Derivatives, KERNELS, PASSES, Problem};
use onelayer::shape::Dims;
use onelayer::statistics::typographic;
use onelayer::train::model::ModelFile;
use proptest::prelude::*;
use tempfile::TempDir;

/// A folder with an exported problem of real images.
struct Desk {
    folder: TempDir,
    problem: Arrays,
}

/// The arrays of a problem file, read as another program would.
struct Arrays {
    x: Vec<f64>,
    y: Vec<usize>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    lambda: f64,
    d: usize,
    k: usize,
}

impl Arrays {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let file = Npz::open(&bytes, path).unwrap();
        let y = file.integers("y").unwrap();
        let array = |name| file.array(name).unwrap();
        let (x, weight, bias, lambda) = (array("x"), array("W"), array("b"), array("lambda"));
        let [k, d] = weight.shape[..] else { panic!("W has the shape {:?}", weight.shape) };
        assert_eq!(x.shape, [y.values.len(), d]);
        assert_eq!((&bias.shape[..], &lambda.shape[..]), (&[k][..], &[][..]));
        Self {
            x: x.values,
            y: y.values.iter().map(|&y| y as usize).collect(),
            weight: weight.values,
            bias: bias.values,
            lambda: lambda.values[0],
            d,
            k,
        }
    }

    fn n(&self) -> f64 {
        self.y.len() as f64
    }

    fn logits(&self, with_bias: f64) -> Vec<Vec<f64>> {
        let row = |x: &[f64]| -> Vec<f64> {
            let of_class = |(w, b): (&[f64], &f64)| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + with_bias * b;
            let classes = self.weight.chunks(self.d).zip(&self.bias);
            classes.map(of_class).collect()
        };
        self.x.chunks(self.d).map(row).collect()
    }

    fn onehot(&self, i: usize, c: usize) -> f64 {
        f64::from(u8::from(self.y[i] == c))
    }

    /// The gradients of the sum of `dlogit` · logit over examples and classes.
    fn pulled_back(&self, dlogit: impl Fn(usize, usize) -> f64) -> Answer {
        let mut answer = Answer { weight: vec![0.0; self.k * self.d], bias: vec![0.0; self.k], ..Answer::default() };
        for (i, x) in self.x.chunks(self.d).enumerate() {
            for c in 0..self.k {
                let dlogit = dlogit(i, c);
                answer.bias[c] += dlogit;
                for (w, x) in answer.weight[c * self.d..].iter_mut().zip(x) {
                    *w += dlogit * x;
                }
            }
        }
        answer
    }

    fn probabilities(&self, with_bias: f64) -> Vec<Vec<f64>> {
        let softmax = |z: Vec<f64>| {
            let max = z.iter().copied().fold(f64::MIN, f64::max);
            let exp: Vec<f64> = z.iter().map(|z| (z - max).exp()).collect();
            let total: f64 = exp.iter().sum();
            exp.iter().map(|e| e / total).collect()
        };
        self.logits(with_bias).into_iter().map(softmax).collect()
    }

    /// The sum over the examples: no 1/n, no penalty.
    fn data(&self) -> Answer {
        let p = self.probabilities(1.0);
        let mut data = self.pulled_back(|i, c| p[i][c] - self.onehot(i, c));
        data.loss = (0..self.y.len()).map(|i| -p[i][self.y[i]].ln()).sum();
        data
    }

    fn penalty(&self) -> Answer {
        Answer {
            weight: self.weight.iter().map(|w| 2.0 * self.lambda * w).collect(),
            bias: vec![0.0; self.k],
            loss: 0.0,
            cost: self.lambda * self.weight.iter().map(|w| w * w).sum::<f64>(),
        }
    }

    /// The data term and the penalty, each multiplied by a factor; 1/n and 1 are right.
    fn answer(&self, data: f64, penalty: f64) -> Answer {
        self.data().times(data).plus(&self.penalty().times(penalty))
    }

    fn right(&self) -> Answer {
        self.answer(1.0 / self.n(), 1.0)
    }

    /// The right penalty with the gradient of `dlogit`.
    fn by(&self, dlogit: impl Fn(usize, usize) -> f64) -> Answer {
        let gradient = self.pulled_back(|i, c| dlogit(i, c) / self.n());
        gradient.plus(&self.penalty())
    }
}

/// A submission. `cost` is the part in addition to `loss`.
#[derive(Clone, Default)]
struct Answer {
    weight: Vec<f64>,
    bias: Vec<f64>,
    loss: f64,
    cost: f64,
}

impl Answer {
    fn times(mut self, factor: f64) -> Self {
        for v in self.weight.iter_mut().chain(&mut self.bias) {
            *v *= factor;
        }
        self.loss *= factor;
        self.cost *= factor;
        self
    }

    fn plus(mut self, other: &Answer) -> Self {
        for (a, b) in [(&mut self.weight, &other.weight), (&mut self.bias, &other.bias)] {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        }
        self.loss += other.loss;
        self.cost += other.cost;
        self
    }
}

/// Shapes and type of the arrays of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    RowsF64,
    ColumnsF32,
}

fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    (0..values.len())
        .map(|i| {
            let rows = values.len() / columns;
            values[i % rows * columns + i / rows]
        })
        .collect()
}

impl Desk {
    fn new(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("problem.npz");
        let output = Command::new(crate::program())
            .args(["gradcheck", "--dataset", "sample", "--export"])
            .arg(&path)
            .args(options)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        Self { problem: Arrays::read(&path), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the referee on the file `name`.
    fn referee(&self, name: &str) -> Output {
        Command::new(crate::program())
            .current_dir(self.folder.path())
            .args(["gradcheck", "--grads", name])
            .output()
            .unwrap()
    }

    fn judge(&self, answer: &Answer, layout: Layout) -> Output {
        let Arrays { d, k, .. } = self.problem;
        let scalars = [[answer.loss], [answer.loss + answer.cost]];
        let bytes = match layout {
            Layout::RowsF64 => npz::write(&[
                ("grad_W", &[k, d], Elements::F64(&answer.weight)),
                ("grad_b", &[k], Elements::F64(&answer.bias)),
                ("loss", &[], Elements::F64(&scalars[0])),
                ("cost", &[1, 1], Elements::F64(&scalars[1])),
            ]),
            Layout::ColumnsF32 => {
                let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
                npz::write(&[
                    ("grad_W", &[d, k], Elements::F32(&narrow(&transposed(&answer.weight, d)))),
                    ("grad_b", &[1, k], Elements::F32(&narrow(&answer.bias))),
                    ("loss", &[1], Elements::F32(&narrow(&scalars[0]))),
                    ("cost", &[], Elements::F32(&narrow(&scalars[1]))),
                ])
            }
        };
        fs::write(self.path("student.npz"), bytes.unwrap()).unwrap();
        self.referee("student.npz")
    }

    /// The referee names the mistake `words` for every quantity in `guilty`, and the others agree.
    fn expect(&self, answer: &Answer, guilty: &[&str], words: &str) {
        let words = &typographic(words);
        for layout in [Layout::RowsF64, Layout::ColumnsF32] {
            let output = self.judge(answer, layout);
            let said = text(&output);
            assert_eq!(typographic(&said), said, "every minus is the typographic one");
            assert_eq!(output.status.code(), Some(1), "{words}, {layout:?}: {said}");
            // Lines may contain a path of any length.
            let mut lines = said.lines().skip(1);
            assert!(lines.all(|line| line.chars().count() <= 80), "{said}");
            for quantity in ["grad_W", "grad_b", "loss", "cost"] {
                let of_quantity = section(&said, quantity);
                if guilty.contains(&quantity) {
                    let named = of_quantity.contains("looks like: ") && of_quantity.contains("fix: ");
                    let named = named && of_quantity.contains(words) && of_quantity.matches("looks like").count() == 1;
                    assert!(of_quantity.contains("DIFFERS") && named, "{words}, {layout:?}, {quantity}: {said}");
                } else {
                    assert!(of_quantity.contains("agrees"), "{words}, {layout:?}, {quantity}: {said}");
                }
            }
            let last = format!("FAIL: {}", guilty.join(", "));
            assert_eq!(said.lines().last(), Some(&last[..]));
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
}

/// The lines about one quantity: the one with its name, and the more deeply indented ones that follow.
fn section(said: &str, quantity: &str) -> String {
    let mut lines = said.lines();
    let first = lines.find(|line| line.starts_with(&format!("  {quantity} ")));
    let further = lines.take_while(|line| line.starts_with("    "));
    let lines: Vec<&str> = first.into_iter().chain(further).collect();
    // As one line, whose words were wrapped.
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

const ALL: [&str; 4] = ["grad_W", "grad_b", "loss", "cost"];

#[test]
fn right_gradients_pass_in_both_layouts_and_without_loss_and_cost() {
    let desk = Desk::new(&[]);
    assert_eq!(desk.problem.n(), 100.0);
    assert!(desk.problem.bias.iter().all(|&b| b != 0.0));
    let right = desk.problem.right();
    for layout in [Layout::RowsF64, Layout::ColumnsF32] {
        let output = desk.judge(&right, layout);
        let said = text(&output);
        assert!(output.status.success(), "{layout:?}: {said}");
        assert!(said.ends_with("PASS: all 4 agree\n"), "{said}");
        assert!(!said.contains("looks like"), "{said}");
    }
    let gradients_alone = npz::write(&[
        ("grad_W", &[10, 3072], Elements::F64(&right.weight)),
        ("grad_b", &[10, 1], Elements::F64(&right.bias)),
    ]);
    fs::write(desk.path("alone.npz"), gradients_alone.unwrap()).unwrap();
    let output = desk.referee("alone.npz");
    assert!(output.status.success() && text(&output).ends_with("PASS: both agree\n"));
}

#[test]
fn wrong_factors_are_named() {
    let desk = Desk::new(&[]);
    let problem = &desk.problem;
    let n = problem.n();
    let case = |data: f64, penalty: f64| problem.answer(data / n, penalty);
    for (answer, guilty, words) in [
        (case(n, 1.0), &ALL[..], "data term × 100: missing 1/n, the sum over the 100 examples instead of their mean"),
        (case(n, n), &ALL, "every term, also the penalty, × 100: missing 1/n"),
        (case(1.0 / n, 1.0), &ALL, "data term × 0.01: 1/n twice"),
        (case(1.0 / n, 1.0 / n), &ALL, "every term, also the penalty, × 0.01: 1/n twice"),
        (case(0.1, 1.0), &ALL, "data term × 0.1: 1/k"),
        (case(1.0, 1.0 / n), &["grad_W", "cost"], "1/n on the penalty"),
        (case(1.0, 0.5), &["grad_W", "cost"], "λ instead of 2λ"),
        (case(1.0, 0.0), &["grad_W", "cost"], "missing penalty"),
        (case(1.0, -1.0), &["grad_W", "cost"], "the penalty is subtracted"),
        (case(-1.0, -1.0), &ALL, "every term, also the penalty, × -1: wrong sign"),
        (case(-1.0, 1.0), &ALL, "data term × -1: wrong sign"),
        (case(0.0, 1.0), &ALL, "only the penalty"),
        (case(0.0, 0.0), &ALL, "all zero"),
    ] {
        desk.expect(&answer, guilty, words);
    }
}

#[test]
fn a_penalty_on_the_bias_is_named() {
    let desk = Desk::new(&["--lambda", "1"]);
    let problem = &desk.problem;
    assert_eq!(problem.lambda, 1.0);
    let mut answer = problem.right();
    for (g, b) in answer.bias.iter_mut().zip(&problem.bias) {
        *g += 2.0 * b;
    }
    answer.cost += problem.bias.iter().map(|b| b * b).sum::<f64>();
    desk.expect(&answer, &["grad_b", "cost"], "penalty on the bias");
}

#[test]
fn mistakes_before_the_gradient_are_named() {
    let desk = Desk::new(&[]);
    let problem = &desk.problem;
    let right = problem.right();
    let gradients_of = |answer: Answer| Answer { loss: right.loss, cost: right.cost, ..answer };
    let gradients = &ALL[..2];

    let p = problem.probabilities(1.0);
    let unsubtracted = gradients_of(problem.by(|i, c| p[i][c]));
    desk.expect(&unsubtracted, gradients, "the onehot labels are not subtracted");

    let z = problem.logits(1.0);
    let column = |c: usize| z.iter().map(|row| row[c].exp()).sum::<f64>();
    let columns: Vec<f64> = (0..problem.k).map(column).collect();
    let axis = problem.by(|i, c| z[i][c].exp() / columns[c] - problem.onehot(i, c));
    desk.expect(&gradients_of(axis), gradients, "softmax over the examples");

    let p = problem.probabilities(0.0);
    let biasless = problem.by(|i, c| p[i][c] - problem.onehot(i, c));
    desk.expect(&gradients_of(biasless), gradients, "the bias is missing");

    let p = problem.probabilities(1.0);
    for (offset, words) in [(9, "next lower class"), (1, "next higher class")] {
        let label = |i: usize| (problem.y[i] + offset) % 10;
        let off = problem.by(|i, c| p[i][c] - f64::from(u8::from(label(i) == c)));
        let words = format!("labels off by one: each is taken for the {words}");
        desk.expect(&gradients_of(off), gradients, &words);
    }
}

#[test]
fn matrices_in_the_wrong_order_are_named() {
    let desk = Desk::new(&[]);
    let right = desk.problem.right();
    let with_weight = |weight| Answer { weight, ..right.clone() };
    for columns in [3072, 10] {
        let reshaped = with_weight(transposed(&right.weight, columns));
        desk.expect(&reshaped, &["grad_W"], "reshaped instead of transposed");
    }
    let rows = [1, 0, 2, 3, 9, 5, 6, 7, 8, 4];
    let row = |c: usize| right.weight[c * 3072..][..3072].to_vec();
    let permuted = with_weight(rows.iter().flat_map(|&c| row(c)).collect());
    let words = format!("permuted classes: its rows are {rows:?}");
    desk.expect(&permuted, &["grad_W"], &words);
    let both = Answer { bias: rows.iter().map(|&c| right.bias[c]).collect(), ..permuted };
    desk.expect(&both, &["grad_W", "grad_b"], &words);
}

#[test]
fn wrong_losses_are_named() {
    let desk = Desk::new(&[]);
    let right = desk.problem.right();
    let with_loss = |loss: f64, cost: f64| Answer { loss, cost, ..right.clone() };
    let total = right.loss + right.cost;
    desk.expect(&with_loss(total, 0.0), &["loss"], "the loss includes the penalty");
    for (base, words) in [(2.0_f64, "base 2"), (10.0, "base 10")] {
        let answer = with_loss(right.loss / base.ln(), right.cost);
        let words = format!("logarithm to {words}");
        desk.expect(&answer, &["loss", "cost"], &words);
    }
}

#[test]
fn each_quantity_is_judged_separately_and_two_different_mistakes_are_both_named() {
    let desk = Desk::new(&[]);
    let problem = &desk.problem;
    let right = problem.right();
    let bias_alone = Answer { bias: problem.data().bias, ..right.clone() };
    desk.expect(&bias_alone, &["grad_b"], "missing 1/n");
    let two =
        Answer { weight: problem.answer(1.0 / problem.n(), 0.5).weight, bias: right.clone().times(-1.0).bias, ..right };
    let said = text(&desk.judge(&two, Layout::RowsF64));
    assert!(section(&said, "grad_W").contains("λ instead of 2λ"), "{said}");
    assert!(section(&said, "grad_b").contains("wrong sign"), "{said}");
}

#[test]
fn an_unknown_mistake_is_detected_without_a_name() {
    let desk = Desk::new(&[]);
    let mut answer = desk.problem.right();
    answer.weight[3 * 3072 + 1024 + 33] += 0.01;
    let output = desk.judge(&answer, Layout::RowsF64);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1));
    let of_weight = section(&said, "grad_W");
    assert!(of_weight.contains("class 3 cat, green, row 1, column 1"), "{said}");
    assert!(
        of_weight.contains("looks like none of the mistakes that this program knows: 1 of 30,720 elements differs"),
        "{said}"
    );

    let mut answer = desk.problem.right();
    answer.weight[0] += 1.1e-6;
    let said = text(&desk.judge(&answer, Layout::RowsF64));
    assert!(
        said.contains("1 of 30,720 elements differs") && said.contains("class 0 airplane, red, row 0, column 0"),
        "{said}"
    );
    assert!(!said.contains("rounding"), "{said}");
}

#[test]
fn noise_of_any_size_is_never_called_a_mistake() {
    let desk = Desk::new(&[]);
    let right = desk.problem.right();
    let mut state = 1_u64;
    let mut noise = |size: f64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        size * ((state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0)
    };
    for size in [2e-6, 1e-5, 1e-3, 1.0] {
        let mut answer = right.clone();
        for v in answer.weight.iter_mut().chain(&mut answer.bias) {
            *v += noise(size);
        }
        let said = text(&desk.judge(&answer, Layout::RowsF64));
        for quantity in ["grad_W", "grad_b"] {
            let of_quantity = section(&said, quantity);
            let unnamed = ["none of the mistakes", "the rounding of float32"];
            let unnamed = unnamed.map(|words| of_quantity.contains(words));
            assert!(of_quantity.contains("DIFFERS"), "{size}: {said}");
            assert!(unnamed != [false; 2], "{size}: {said}");
        }
    }
}

#[test]
fn invalid_submissions_are_refused_in_one_line() {
    let desk = Desk::new(&[]);
    let right = desk.problem.right();
    let (w, b) = (&right.weight[..], &right.bias[..]);
    let good: [(&str, &[usize], Elements); 2] =
        [("grad_W", &[10, 3072], Elements::F64(w)), ("grad_b", &[10], Elements::F64(b))];
    let refuse = |arrays: &[(&str, &[usize], Elements)], words: &str| {
        fs::write(desk.path("bad.npz"), npz::write(arrays).unwrap()).unwrap();
        refused(&desk.referee("bad.npz"), words);
    };
    refuse(&good[..1], r#"there is no array "grad_b", only "grad_W""#);
    refuse(&[], r#"there is no array "grad_W": the file has none"#);
    refuse(
        &[("grad_W", &[30720], Elements::F64(w)), good[1]],
        "must have the shape (10, 3072) or (3072, 10), but has (30720)",
    );
    refuse(
        &[good[0], ("grad_b", &[9], Elements::F64(&b[..9]))],
        "must have the shape (10) or (10, 1) or (1, 10), but has (9)",
    );
    refuse(
        &[good[0], good[1], ("loss", &[2], Elements::F64(&[2.0, 2.0]))],
        r#"array "loss" must have the shape () or (1) or (1, 1), but has (2)"#,
    );
    refuse(&[good[0], good[1], ("cost", &[], Elements::I64(&[2]))], "must be float32 or float64");
    fs::write(desk.path("bad.npz"), "grad_W = 1").unwrap();
    refused(&desk.referee("bad.npz"), "must be an .npz file");
    refused(&desk.referee("nowhere.npz"), "cannot read --grads nowhere.npz");
    fs::remove_file(desk.path("problem.npz")).unwrap();
    refused(&desk.referee("bad.npz"), "cannot read the problem problem.npz");
}

fn refused(output: &Output, words: &str) {
    refused_with(2, output, words);
}

fn refused_with(code: i32, output: &Output, words: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(words), "{words:?} is not in {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn invalid_problems_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("problem.npz");
    let (x, y, w, b, l) = ([0.5; 6], [0, 1], [0.25; 6], [0.0; 2], [0.1]);
    let good: [(&str, &[usize], Elements); 5] = [
        ("x", &[2, 3], Elements::F64(&x)),
        ("y", &[2], Elements::I64(&y)),
        ("W", &[2, 3], Elements::F64(&w)),
        ("b", &[2], Elements::F64(&b)),
        ("lambda", &[], Elements::F64(&l)),
    ];
    let judge = |arrays: &[(&str, &[usize], Elements)]| {
        fs::write(&path, npz::write(arrays).unwrap()).unwrap();
        Command::new(crate::program())
            .args(["gradcheck", "--grads", "nowhere.npz", "--problem"])
            .arg(&path)
            .output()
            .unwrap()
    };
    // The problem is read first: of a good one, what is missing is the submission.
    refused(&judge(&good), "nowhere.npz");
    for i in 0..good.len() {
        let missing = [&good[..i], &good[i + 1..]].concat();
        let words = format!("there is no array {:?}, only", good[i].0);
        refused(&judge(&missing), &words);
    }
    let with = |bad: (&'static str, &'static [usize], Elements<'static>)| {
        let replaced = good.map(|array| if array.0 == bad.0 { bad } else { array });
        judge(&replaced)
    };
    for (bad, words) in [
        (("x", &[1, 6][..], Elements::F64(&[0.5; 6])), "must have the shape (2, 3), but has (1, 6)"),
        (("y", &[2], Elements::I64(&[0, 2])), "labels must be 0 to 1, but one is 2"),
        (("y", &[2], Elements::I64(&[0, -1])), "but one is -1"),
        (("y", &[0], Elements::I64(&[])), "must have the shape (1 or more)"),
        (("y", &[2], Elements::F64(&[0.0, 0.5])), "labels must be 0 to 1, but one is 0.5"),
        (("W", &[6], Elements::F64(&[0.5; 6])), "(1 or more, 1 or more)"),
        (("W", &[0, 3], Elements::F64(&[])), "(1 or more, 1 or more)"),
        (("b", &[1], Elements::F64(&[0.5])), "must have the shape (2)"),
        (("b", &[2], Elements::F64(&[0.5, f64::NAN])), "must be finite"),
        (("lambda", &[], Elements::F64(&[-0.5])), "lambda must be"),
        (("lambda", &[2], Elements::F64(&[0.5; 2])), "must have the shape ()"),
    ] {
        refused(&with(bad), words);
    }
}

#[test]
fn an_invalid_export_is_refused_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |options: &[&str], words: &str| {
        let output = Command::new(crate::program())
            .args(["gradcheck", "--dataset", "sample", "--export"])
            .arg(folder.path().join("problem.npz"))
            .args(options)
            .output()
            .unwrap();
        refused_with(1, &output, words);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    };
    refuse(&["--lambda", "-1"], "lambda must be");
    refuse(&["--batch-size", "0"], "batch-size must be");
    refuse(&["--model", "nowhere"], "cannot read --model nowhere");
}

#[test]
fn equal_options_export_equal_bytes_and_another_seed_exports_others() {
    let bytes = |options: &[&str]| fs::read(Desk::new(options).path("problem.npz")).unwrap();
    let few = bytes(&["--batch-size", "3"]);
    assert!(few == bytes(&["--batch-size", "3"]));
    assert!(few != bytes(&["--batch-size", "3", "--seed", "7"]));
}

#[test]
fn a_problem_at_a_model_has_its_parameters() {
    let out = tempfile::tempdir().unwrap();
    let options = ["train", "--dataset", "sample", "--epochs", "1", "--eta"];
    let train = Command::new(crate::program())
        .args(options)
        .args(["0.01", "--quiet", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    assert!(train.status.success(), "{}", text(&train));
    let path = out.path().join("model_lambda0_eta0.01.safetensors");
    let model = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
    let desk = Desk::new(&["--model", path.to_str().unwrap()]);
    let widened = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    assert!(desk.problem.weight == widened(&model.parameters.weight));
    assert_eq!(desk.problem.bias, widened(&model.parameters.bias));
    let output = desk.judge(&desk.problem.right(), Layout::RowsF64);
    assert!(output.status.success(), "{}", text(&output));
}

/// A Python with NumPy, to run examples/gradients.py.
pub fn python_with_numpy() -> Option<&'static str> {
    let has_numpy = |python: &&str| {
        let run = Command::new(python).args(["-c", "import numpy"]).output();
        run.is_ok_and(|output| output.status.success())
    };
    ["python3", "python"].into_iter().find(has_numpy)
}

/// Runs `onelayer gradcheck` with `arguments` in `folder`.
fn gradcheck(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(crate::program()).current_dir(folder).arg("gradcheck").args(arguments).output().unwrap()
}

/// Exports a problem to `problem.npz` in `folder`.
fn export(folder: &Path, options: &[&str]) -> Output {
    let path = folder.join("problem.npz");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    let export = ["--data-dir", data, "--dataset", "sample", "--export", path.to_str().unwrap()];
    let output = gradcheck(folder, &[&export, options].concat());
    assert!(output.status.success(), "{}", text(&output));
    output
}

#[test]
fn no_mistake_can_hide_in_an_exported_problem() {
    let folder = tempfile::tempdir().unwrap();
    for loss in ["softmax", "bce"] {
        for layout in ["rows", "columns", "cs231n"] {
            for size in [&[][..], &["--features", "10", "--examples", "3"], &["--features", "200", "--examples", "12"]]
            {
                let output = export(folder.path(), &[&["--loss", loss, "--layout", layout], size].concat());
                assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{loss} {layout} {size:?}");
            }
        }
    }
    // The labels of a small problem are of as many classes as fit.
    export(folder.path(), &["--features", "10", "--examples", "11"]);
    let problem = Arrays::read(&folder.path().join("problem.npz"));
    let mut classes = problem.y.clone();
    classes.sort_unstable();
    classes.dedup();
    assert_eq!(classes, (0..10).collect::<Vec<_>>());
    let output = export(folder.path(), &["--lambda", "1e-6"]);
    assert!(text(&output).contains("a mistake could hide"), "{}", text(&output));
}

#[test]
fn a_forgotten_penalty_too_small_to_be_seen_is_not_certified_and_the_suggested_problem_shows_it() {
    let small = Desk::new(&["--lambda", "1e-6"]);
    let without_penalty = |desk: &Desk| desk.judge(&desk.problem.answer(1.0 / desk.problem.n(), 0.0), Layout::RowsF64);
    let said = text(&without_penalty(&small));
    assert!(section(&said, "grad_W").contains("can't be told"), "{said}");
    assert!(section(&said, "grad_W").contains("missing penalty"), "{said}");
    let right = small.judge(&small.problem.right(), Layout::RowsF64);
    assert_eq!(right.status.code(), Some(3), "{}", text(&right));
    assert!(text(&right).contains("CAN'T TELL: grad_W"), "{}", text(&right));

    let lambda = said.split("ask again with --lambda ").nth(1).unwrap().lines().next().unwrap();
    let told = Desk::new(&["--lambda", lambda]);
    let output = without_penalty(&told);
    assert_eq!(output.status.code(), Some(1));
    assert!(section(&text(&output), "grad_W").contains("missing penalty"), "{}", text(&output));
}

#[test]
fn sigmoids_have_a_problem_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    let train = ["train", "--data-dir", data, "--dataset", "sample", "--epochs", "1", "--loss", "bce"];
    let mut command = Command::new(crate::program());
    command.current_dir(folder.path()).args(train).args(["--eta", "0.01", "--quiet", "--out", "."]);
    assert!(command.status().unwrap().success());
    let model = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let model = model.into_iter().find(|path| path.extension().is_some_and(|e| e == "safetensors")).unwrap();
    export(folder.path(), &["--model", model.to_str().unwrap()]);

    let problem = Arrays::read(&folder.path().join("problem.npz"));
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let z = problem.logits(1.0);
    let p: Vec<Vec<f64>> = z.iter().map(|row| row.iter().map(|&z| sigmoid(z)).collect()).collect();
    let k = problem.k as f64;
    let judge = |answer: &Answer| {
        let arrays: [(&str, &[usize], Elements); 2] =
            [("grad_W", &[10, 3072], Elements::F64(&answer.weight)), ("grad_b", &[10], Elements::F64(&answer.bias))];
        fs::write(folder.path().join("student.npz"), npz::write(&arrays).unwrap()).unwrap();
        text(&gradcheck(folder.path(), &["--grads", "student.npz"]))
    };
    let said = judge(&problem.by(|i, c| (p[i][c] - problem.onehot(i, c)) / k));
    assert!(
        said.contains(" sigmoids, λ = ") && !said.contains("bce") && said.ends_with("PASS: both agree\n"),
        "{said}"
    );
    let said = judge(&problem.by(|i, c| p[i][c] - problem.onehot(i, c)));
    assert!(section(&said, "grad_W").contains("data term × 10: missing 1/k"), "{said}");
    let softmax = problem.probabilities(1.0);
    let said = judge(&problem.by(|i, c| (softmax[i][c] - problem.onehot(i, c)) / k));
    assert!(section(&said, "grad_b").contains("softmax instead of sigmoids"), "{said}");
}

#[test]
fn problems_made_by_hand_are_read_in_any_plain_form() {
    let folder = tempfile::tempdir().unwrap();
    let weight = [0.3, -0.2, 0.1, 0.7, 0.5, -0.6];
    let bias = [0.1, -0.2];
    let judge = |x: (&str, &[usize], Elements), bias_shape: &[usize]| {
        let arrays: [(&str, &[usize], Elements); 5] = [
            x,
            ("y", &[1, 2], Elements::F64(&[0.0, 1.0])),
            ("W", &[2, 3], Elements::F64(&weight)),
            ("b", bias_shape, Elements::F64(&bias)),
            ("lambda", &[1, 1], Elements::F64(&[0.5])),
        ];
        fs::write(folder.path().join("problem.npz"), npz::write(&arrays).unwrap()).unwrap();
        let arrays: [(&str, &[usize], Elements); 2] =
            [("dW", &[2, 3], Elements::F64(&weight)), ("db", &[2, 1], Elements::F64(&bias))];
        fs::write(folder.path().join("student.npz"), npz::write(&arrays).unwrap()).unwrap();
        text(&gradcheck(folder.path(), &["--grads", "student.npz"]))
    };
    let rows = judge(("x", &[2, 3], Elements::F64(&[0.1, 0.2, -0.3, 0.4, 0.5, 0.7])), &[2]);
    assert!(rows.contains("the parameters themselves"), "{rows}");
    // The same numbers in columns are the same problem.
    let columns = judge(("X", &[3, 2], Elements::F64(&[0.1, 0.4, 0.2, 0.5, -0.3, 0.7])), &[2, 1]);
    assert_eq!(columns, rows);
}

#[test]
fn many_submissions_are_one_table_for_readers_and_machines() {
    let desk = Desk::new(&["--features", "10", "--examples", "3"]);
    let problem = &desk.problem;
    let folder = desk.path("submissions");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, answer: &Answer| {
        let arrays: [(&str, &[usize], Elements); 2] =
            [("grad_W", &[10, 10], Elements::F64(&answer.weight)), ("grad_b", &[10], Elements::F64(&answer.bias))];
        fs::write(folder.join(name), npz::write(&arrays).unwrap()).unwrap();
    };
    write("a.npz", &problem.right());
    write("b.npz", &problem.answer(1.0, 1.0));
    let mut nan = problem.right();
    nan.weight[7] = f64::NAN;
    write("c.npz", &nan);
    let judge = |arguments: &[&str]| gradcheck(desk.folder.path(), arguments);

    let output = judge(&["--grads", "submissions", "--out", "judged"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("missing 1/n")
            && said.replace("\n     ", "").contains("the first of grad_W, class 0, feature 7, is NaN"),
        "{said}"
    );
    assert!(
        said.ends_with("FAIL: of 3 submissions, 1 agrees, 2 differ\nthe table is in judged/referee.csv\n"),
        "{said}"
    );
    let table = fs::read_to_string(desk.path("judged/referee.csv")).unwrap();
    assert_eq!(table.lines().count(), 7);
    assert!(table.lines().nth(3).unwrap().contains("data term × 3: missing 1/n"), "{table}");

    let quiet = text(&judge(&["--grads", "submissions/a.npz", "submissions/b.npz", "--quiet", "--out", "judged"]));
    let lines: Vec<&str> = quiet.lines().collect();
    assert_eq!(lines[0], "submissions/a.npz: agrees");
    assert!(lines[1].starts_with("submissions/b.npz: differs: data term × 3"), "{quiet}");

    fs::write(folder.join("d.npz"), "no archive").unwrap();
    let output = judge(&["--grads", "submissions", "--format", "json", "--out", "judged"]);
    assert_eq!(output.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["schema"], &json["problem"]["features"]), (&1.into(), &10.into()));
    let verdicts: Vec<_> = (0..4).map(|i| json["submissions"][i]["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["agrees", "differs", "differs", "unreadable"]);
    let summed = &json["submissions"][1]["quantities"][0];
    assert_eq!(summed["quantity"], "grad_W");
    assert!(summed["explanations"][0][0]["mistake"].as_str().unwrap().contains("missing 1/n"), "{summed}");
    assert!(json["submissions"][2]["quantities"][0]["max_absolute_difference"].is_null());
    assert!(json["submissions"][3]["error"].as_str().unwrap().contains("must be an .npz file"));

    fs::remove_file(folder.join("d.npz")).unwrap();
    fs::copy(folder.join("a.npz"), folder.join("a_long_name.npz")).unwrap();
    let agreeing = judge(&["--grads", "submissions/a.npz", "submissions/a_long_name.npz", "--out", "judged"]);
    let said = text(&agreeing);
    assert_eq!(agreeing.status.code(), Some(0), "{said}");
    assert!(said.ends_with("PASS: both submissions agree\nthe table is in judged/referee.csv\n"), "{said}");
    // A name longer than the first column has a line of its own.
    let after = said.split_once("\nsubmissions/a_long_name.npz\n").unwrap().1;
    let column = |line: &str, word: &str| line.find(word).unwrap();
    let header = said.lines().find(|line| line.starts_with("file ")).unwrap();
    assert_eq!(column(after.lines().next().unwrap(), "agrees"), column(header, "grad_W"), "{said}");
}

#[test]
fn tolerance_and_eps_are_options() {
    let desk = Desk::new(&["--features", "10", "--examples", "3"]);
    let mut answer = desk.problem.right();
    answer.weight[0] += 1e-4;
    let arrays: [(&str, &[usize], Elements); 2] =
        [("grad_W", &[10, 10], Elements::F64(&answer.weight)), ("grad_b", &[10], Elements::F64(&answer.bias))];
    fs::write(desk.path("student.npz"), npz::write(&arrays).unwrap()).unwrap();
    let code = |options: &[&str]| {
        let output = gradcheck(desk.folder.path(), &[&["--grads", "student.npz"], options].concat());
        (output.status.code().unwrap(), text(&output))
    };
    assert_eq!(code(&[]).0, 1);
    let (found, said) = code(&["--tolerance", "1e-3", "--eps", "1e-8"]);
    assert!(found != 1 && said.contains("max(1e−8, |a| + |b|) ≤ 1e−3"), "{said}");
    assert!(code(&["--tolerance", "0"]).1.contains("--tolerance must be positive"));
}

#[test]
fn a_gradient_in_an_npy_file_is_recognised_by_its_shape() {
    let desk = Desk::new(&[]);
    let right = desk.problem.right();
    for (shape, values, name) in [(&[10, 3072][..], &right.weight, "grad_W"), (&[10, 1], &right.bias, "grad_b")] {
        fs::write(desk.path("student.npy"), npy::to_bytes(shape, Elements::F64(values))).unwrap();
        let said = text(&desk.referee("student.npy"));
        assert!(section(&said, name).contains("agrees") && said.ends_with(&format!("PASS: {name} agrees\n")), "{said}");
    }
    fs::write(desk.path("student.npy"), npy::to_bytes(&[5], Elements::F64(&[0.0; 5]))).unwrap();
    refused(
        &desk.referee("student.npy"),
        "must have the shape (10, 3072) or (3072, 10) for grad_W or (10) for grad_b, but has (5)",
    );
}

#[test]
fn a_quiz_is_written_and_graded() {
    let folder = tempfile::tempdir().unwrap();
    // Without a download: of the sample, which is inside the program.
    let output = gradcheck(folder.path(), &["--quiz", "quiz"]);
    assert!(output.status.success(), "{}", text(&output));
    let names: Vec<String> = (1..=23).map(|i| format!("case_{i:02}")).collect();
    let grade = |accepts: &dyn Fn(&[f64], &[f64]) -> bool| {
        let answer = |name: &String| {
            let path = folder.path().join("quiz").join(format!("{name}.npz"));
            let bytes = fs::read(&path).unwrap();
            let file = Npz::open(&bytes, &path).unwrap();
            let passes =
                |given, numeric| accepts(&file.array(given).unwrap().values, &file.array(numeric).unwrap().values);
            let is_right = passes("grad_W", "numeric_W") && passes("grad_b", "numeric_b");
            format!("{name},{}\n", if is_right { "right" } else { "wrong" })
        };
        fs::write(folder.path().join("answers.csv"), names.iter().map(answer).collect::<String>()).unwrap();
        let output = gradcheck(folder.path(), &["--quiz", "quiz", "--answers", "answers.csv"]);
        (output.status.code().unwrap(), text(&output))
    };
    let largest = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6);
    assert_eq!(grade(&largest), (0, "PASS: all 23 answers are correct\n".into()));
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).sum::<f64>().abs() < 1e-6;
    let (code, said) = grade(&sum);
    assert_eq!(code, 1);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("takes the absolute value of the sum of the differences"), "{said}");
    fs::write(folder.path().join("answers.csv"), "case_01,right\n").unwrap();
    let output = gradcheck(folder.path(), &["--quiz", "quiz", "--answers", "answers.csv"]);
    refused(&output, "there is no answer for case_02");
    refused_with(
        1,
        &gradcheck(folder.path(), &["--quiz", "."]),
        "error: --quiz needs a folder for the quiz alone, but ./answers.csv is in it; name a new folder\n",
    );
    refused(
        &gradcheck(folder.path(), &["--quiz", "nowhere", "--answers", "answers.csv"]),
        "cannot read the folder nowhere",
    );
}

#[test]
fn the_functions_of_both_courses_pass_and_a_mistake_in_them_is_named() {
    let Some(python) = python_with_numpy() else {
        eprintln!("skipped: no python3 with numpy here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let columns = "G = P - Y\n    return {'W': G @ X.T + 2 * lam * network['W'], 'b': G.sum(axis=1, keepdims=True)}";
    let rows = "e = np.exp(X @ W)\n    p = e / e.sum(axis=1, keepdims=True)\n    p[np.arange(len(y)), y] -= 1\n    \
                return 0.0, X.T @ p / len(y)";
    let courses = [
        (
            "columns",
            "dd2424.py",
            format!(
                "import numpy as np\ndef BackwardPass(X, Y, P, network, lam):\n    {columns}\n\ndef ApplyNetwork(X, network):\n    e = np.exp(network['W'] @ X + network['b'])\n    return e / e.sum(axis=0)\n"
            ),
            "missing 1/n",
        ),
        (
            "cs231n",
            "cs231n.py",
            format!("import numpy as np\ndef softmax_loss_naive(W, X, y, reg):\n    {rows}\n"),
            "missing penalty",
        ),
    ];
    for (layout, script, wrong, words) in courses {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(script);
        fs::write(folder.path().join("wrong.py"), wrong).unwrap();
        for size in [&[][..], &["--features", "10", "--examples", "3"]] {
            export(folder.path(), &[&["--layout", layout], size].concat());
            let solve = |options: &[&str]| {
                let mut command = Command::new(python);
                command.current_dir(folder.path()).arg(&script).args(["problem.npz", "student.npz"]).args(options);
                let output = command.output().unwrap();
                assert!(output.status.success(), "{}", text(&output));
                text(&gradcheck(folder.path(), &["--grads", "student.npz"]))
            };
            let said = solve(&[]);
            assert!(said.ends_with("PASS: both agree\n"), "{said}");
            let said = solve(&["--solution", "wrong.py"]);
            assert!(section(&said, "grad_W").contains(words), "{said}");
        }
    }
}

#[test]
fn gradients_by_real_numpy_pass_in_both_precisions_and_orientations() {
    let Some(python) = python_with_numpy() else {
        eprintln!("skipped: no python3 with numpy here");
        return;
    };
    let desk = Desk::new(&["--lambda", "1"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gradients.py");
    for options in [&[][..], &["--transpose"], &["--float32"], &["--float32", "--transpose"]] {
        let output = Command::new(python)
            .arg(&script)
            .args([desk.path("problem.npz"), desk.path("student.npz")])
            .args(options)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let output = desk.referee("student.npz");
        let said = text(&output);
        assert!(output.status.success() && said.contains("all 4 agree"), "{options:?}: {said}");
    }
}

fn submission(derivatives: Derivatives) -> Submission {
    let answer = |quantity: Quantity| Submitted { quantity, values: quantity.of(&derivatives).to_vec(), is_f32: false };
    Quantity::ALL.map(answer).into()
}

/// The verdicts of the referee on `submission` for `problem`.
fn verdicts(problem: &Problem, lambda: f64, submission: &Submission) -> onelayer::Result<Vec<(Quantity, Verdict)>> {
    let exercise = Exercise::of(problem, lambda, Arrangement::Rows)?;
    let findings = Referee::new(&exercise, Tolerance::default()).unwrap().judge(submission)?;
    Ok(findings.iter().map(|finding| (finding.quantity, finding.verdict)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gradients_of_this_crate_agree_and_one_changed_element_does_not(
        (n, features, classes) in (1usize..8, 1usize..12, 1usize..6),
        seed in any::<u64>(),
        lambda in prop_oneof![Just(0.0), 0.0..1.0],
        at in any::<prop::sample::Index>(),
    ) {
        let problem = Problem::random(Dims { features, classes }, n, seed);
        for implementation in [KERNELS, PASSES] {
            let right = submission((implementation.derivatives)(&problem, lambda));
            let found = verdicts(&problem, lambda, &right).unwrap();
            prop_assert_eq!(found.len(), 4);
            prop_assert!(found.iter().all(|(_, verdict)| *verdict != Verdict::Differs), "{:?}", found);
            let mut wrong = right.clone();
            let dweight = &mut wrong[0].values;
            let at = at.index(dweight.len());
            dweight[at] += 3e-6 * (1.0 + dweight[at].abs());
            let found = verdicts(&problem, lambda, &wrong).unwrap();
            let guilty: Vec<_> = found.iter().filter(|(_, v)| *v == Verdict::Differs).map(|(q, _)| *q).collect();
            prop_assert_eq!(guilty, [Quantity::Weight]);
        }
    }
}

#[test]
fn a_nan_and_gradients_of_another_shape_never_pass() {
    let dims = Dims { features: 3, classes: 2 };
    let problem = Problem::random(dims, 4, 1);
    let right = submission((KERNELS.derivatives)(&problem, 0.1));
    let mut nan = right.clone();
    nan[1].values[1] = f64::NAN;
    assert_eq!(verdicts(&problem, 0.1, &nan).unwrap()[1], (Quantity::Bias, Verdict::Differs));
    let mut short = right;
    short[0].values.pop();
    let error = verdicts(&problem, 0.1, &short).unwrap_err();
    assert_eq!(error.to_string(), "grad_W must have the shape (2, 3), but has 5 elements");
}

#[test]
fn what_is_not_judged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path(), &["--examples", "12", "--features", "5"]);
    let write = |name: &str, arrays: &[(&str, &[usize], Elements)]| {
        fs::write(folder.path().join(name), npz::write(arrays).unwrap()).unwrap();
    };
    fs::create_dir_all(folder.path().join("all/inner")).unwrap();
    fs::write(folder.path().join("all/notes.txt"), "").unwrap();
    let gradients: [(&str, &[usize], Elements); 3] = [
        ("grad_W", &[10, 5], Elements::F64(&[0.0; 50])),
        ("grad_b", &[10], Elements::F64(&[0.0; 10])),
        ("Loss", &[], Elements::F64(&[1.0])),
    ];
    write("one.npz", &gradients);
    write("all/clean.npz", &gradients[..2]);
    let said = |arguments: &[&str]| String::from_utf8(gradcheck(folder.path(), arguments).stderr).unwrap();
    let note = "note: one.npz: not read: Loss; a solution has grad_W, grad_b, loss and cost\n";
    assert_eq!(said(&["--grads", "one.npz"]), note);
    assert_eq!(said(&["--grads", "one.npz", "--quiet"]), "");
    let all = said(&["--grads", "all"]);
    let note = "note: not judged, as only .npz and .npy files in the folder itself are: all/inner and 1 more\n";
    assert!(all.starts_with(note) && !all.contains("not read"), "{all}");
    write("names.npz", &[("foo", &[], Elements::F64(&[1.0]))]);
    let wrong = said(&["--grads", "names.npz"]);
    assert_eq!(wrong.lines().count(), 1, "{wrong}");
    assert!(
        wrong.contains("there is no array \"grad_W\", only \"foo\"; a solution has grad_W and grad_b, or"),
        "{wrong}"
    );
}
