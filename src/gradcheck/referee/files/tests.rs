use super::*;
use crate::gradcheck::Problem;

/// The elements of an array of a file.
#[derive(Clone)]
enum Of {
    F64(Vec<f64>),
    F32(Vec<f32>),
    Text(&'static str),
}

impl Of {
    fn elements(&self) -> Elements<'_> {
        match self {
            Self::F64(values) => Elements::F64(values),
            Self::F32(values) => Elements::F32(values),
            Self::Text(text) => Elements::Text(text),
        }
    }
}

type Arrays = Vec<(&'static str, Vec<usize>, Of)>;

fn file(arrays: &Arrays) -> Vec<u8> {
    let arrays: Vec<_> = arrays.iter().map(|(name, shape, of)| (*name, &shape[..], of.elements())).collect();
    npz::write(&arrays).unwrap()
}

fn floats(name: &'static str, shape: &[usize], values: &[f64]) -> (&'static str, Vec<usize>, Of) {
    (name, shape.to_vec(), Of::F64(values.to_vec()))
}

/// `first`, `first` + 1, …, in this shape.
fn counting(name: &'static str, shape: &[usize], first: f64) -> (&'static str, Vec<usize>, Of) {
    let values: Vec<f64> = (0..shape.iter().product()).map(|i| first + i as f64).collect();
    floats(name, shape, &values)
}

fn text(name: &'static str, text: &'static str) -> (&'static str, Vec<usize>, Of) {
    (name, vec![], Of::Text(text))
}

/// `arrays`, of which those with the name of a new one are replaced.
fn with(arrays: &Arrays, new: Arrays) -> Arrays {
    let kept = arrays.iter().filter(|(name, ..)| new.iter().all(|(of, ..)| of != name)).cloned();
    kept.chain(new.iter().cloned()).collect()
}

fn without(arrays: &Arrays, name: &str) -> Arrays {
    arrays.iter().filter(|(of, ..)| *of != name).cloned().collect()
}

fn problem(arrays: &Arrays) -> Result<Exercise> {
    read_problem(&file(arrays), Path::new("problem.npz"))
}

fn refusal(arrays: &Arrays) -> String {
    problem(arrays).unwrap_err().to_string()
}

/// 5 examples of 3 features and 2 classes in rows.
fn rows() -> Arrays {
    vec![
        counting("x", &[5, 3], 1.0),
        floats("y", &[5], &[0.0, 1.0, 1.0, 0.0, 1.0]),
        counting("W", &[2, 3], 20.0),
        counting("b", &[2], 30.0),
        floats("lambda", &[], &[0.25]),
    ]
}

fn exercise(layout: Layout, x: &[f64], weight: &[f64], bias: &[f64]) -> Exercise {
    let classes = bias.len();
    let parameters = Parameters64 {
        dims: Dims { features: weight.len() / classes, classes },
        weight: weight.to_vec(),
        bias: bias.to_vec(),
    };
    let labels = (0..x.len() * classes / weight.len()).map(|i| (i % classes) as u8).collect();
    Exercise::new(x.to_vec(), labels, parameters, 0.5, Loss::Bce, layout).unwrap()
}

#[test]
fn a_problem_is_arranged_as_its_layout_says_and_so_are_gradients() {
    let (x, weight) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
    let with_one = [1.0, 2.0, 1.0, 4.0, 5.0, 1.0];
    let turned = [7.0, 10.0, 8.0, 11.0, 9.0, 12.0];
    let rows = exercise(Layout::Rows, &x, &weight, &[13.0, 14.0]);
    let columns = exercise(Layout::Columns, &x, &weight, &[13.0, 14.0]);
    let cs231n = exercise(Layout::Cs231n, &with_one, &weight, &[0.0, 0.0]);
    let of_columns = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
    for (exercise, x, weight, bias) in [
        (&rows, ([2, 3], &x), ([2, 3], &weight), Some(vec![2])),
        (&columns, ([3, 2], &of_columns), ([2, 3], &weight), Some(vec![2, 1])),
        (&cs231n, ([2, 3], &with_one), ([3, 2], &turned), None),
    ] {
        let layout = exercise.layout().name();
        let gradients = [
            ("grad_W", Quantity::Weight, &exercise.parameters().weight[..]),
            ("grad_b", Quantity::Bias, &exercise.parameters().bias[..]),
        ];
        let bytes = problem_with_gradients(exercise, &gradients).unwrap();
        let npz = Npz::open(&bytes, Path::new("problem.npz")).unwrap();
        let is = |name: &str, shape: &[usize], values: &[f64]| {
            let found = npz.array(name).unwrap();
            assert_eq!((&found.shape[..], &found.values[..]), (shape, values), "{name} {layout}");
        };
        is("x", &x.0, x.1);
        is("W", &weight.0, weight.1);
        is("grad_W", &weight.0, weight.1);
        assert_eq!(npz.contains("b"), bias.is_some());
        if let Some(shape) = bias {
            is("b", &shape, &[13.0, 14.0]);
            is("grad_b", &shape, &[13.0, 14.0]);
        }
        is("lambda", &[], &[0.5]);
        assert_eq!(npz.integers("y").unwrap().values, [0, 1]);
        assert_eq!((npz.text("loss").unwrap(), npz.text("layout").unwrap()), ("bce".to_owned(), layout.to_owned()));
        let alone = problem_to_npz(exercise).unwrap();
        assert!(!Npz::open(&alone, Path::new("problem.npz")).unwrap().contains("grad_W"));
    }
}

#[test]
fn a_problem_that_is_written_is_read_as_it_was() {
    for (features, classes, n) in [(3, 2, 5), (4, 4, 4), (2, 3, 2), (1, 2, 1), (3, 1, 2)] {
        for loss in Loss::ALL {
            let problem = Problem::random(Dims { features, classes }, n, 1).with_loss(loss);
            for layout in Layout::ALL {
                let exercise = Exercise::of(&problem, 0.1, layout).unwrap();
                let bytes = problem_to_npz(&exercise).unwrap();
                assert_eq!(
                    read_problem(&bytes, Path::new("problem.npz")).unwrap(),
                    exercise,
                    "{}",
                    exercise.describe()
                );
            }
        }
    }
}

#[test]
fn a_layout_without_a_name_is_the_one_that_the_shapes_fit() {
    let read = problem(&rows()).unwrap();
    assert_eq!((read.layout(), read.dims()), (Layout::Rows, Dims { features: 3, classes: 2 }));
    assert_eq!((read.labels(), read.lambda(), read.loss()), (&[0, 1, 1, 0, 1][..], 0.25, Loss::Softmax));
    assert_eq!((read.x()[4], read.parameters().weight[4], read.parameters().bias[1]), (5.0, 24.0, 31.0));
    // Element (1, 1) of x and of W in each arrangement, where the examples are 5 or as many as the classes.
    let two = floats("y", &[2], &[0.0, 1.0]);
    let five = rows()[1].clone();
    for (x, labels, weight, layout, elements) in [
        ([5, 3], &five, [2, 3], Layout::Rows, [5.0, 24.0]),
        ([5, 3], &five, [3, 2], Layout::Rows, [5.0, 23.0]),
        ([3, 5], &five, [2, 3], Layout::Columns, [7.0, 24.0]),
        ([3, 5], &five, [3, 2], Layout::Columns, [7.0, 23.0]),
        ([2, 3], &two, [2, 3], Layout::Rows, [5.0, 24.0]),
        ([3, 2], &two, [2, 3], Layout::Columns, [4.0, 24.0]),
        // A square W is not turned.
        ([5, 2], &five, [2, 2], Layout::Rows, [4.0, 23.0]),
    ] {
        let arrays = with(&rows(), vec![counting("x", &x, 1.0), labels.clone(), counting("W", &weight, 20.0)]);
        let read = problem(&arrays).unwrap_or_else(|error| panic!("{x:?} {weight:?}: {error}"));
        let d = read.dims().features;
        assert_eq!((read.layout(), read.dims().classes), (layout, 2), "{x:?} {weight:?}");
        assert_eq!([read.x()[d + 1], read.parameters().weight[d + 1]], elements, "{x:?} {weight:?}");
    }
    let square = with(&rows(), vec![counting("x", &[3, 3], 1.0), floats("y", &[3], &[0.0, 1.0, 0.0])]);
    let message = refusal(&square);
    assert!(message.contains("its rows or its columns may be the 3 examples: add layout = \"rows\""), "{message}");
    for (layout, element) in [("rows", 2.0), ("columns", 4.0)] {
        assert_eq!(problem(&with(&square, vec![text("layout", layout)])).unwrap().x()[1], element);
    }
}

#[test]
fn without_a_bias_the_last_row_of_the_weights_is_the_bias() {
    let ones: Vec<f64> = (0..20).map(|i| if i % 4 == 3 { 1.0 } else { i as f64 }).collect();
    let arrays = without(&with(&rows(), vec![floats("x", &[5, 4], &ones), counting("W", &[4, 2], 20.0)]), "b");
    let read = problem(&arrays).unwrap();
    assert_eq!((read.layout(), read.dims()), (Layout::Cs231n, Dims { features: 4, classes: 2 }));
    assert_eq!(
        (&read.parameters().weight[..4], &read.parameters().bias[..]),
        (&[20.0, 22.0, 24.0, 26.0][..], &[0.0; 2][..])
    );
    let mut wrong = ones.clone();
    wrong[19] = 0.0;
    let message = refusal(&with(&arrays, vec![floats("x", &[5, 4], &wrong)]));
    assert!(message.ends_with("the last feature of each example must be 1 in the layout cs231n"), "{message}");
    // A bias that is missing is no layout.
    for new in [counting("x", &[5, 3], 1.0), counting("x", &[4, 4], 1.0), counting("W", &[5, 2], 20.0)] {
        let message = refusal(&with(&arrays, vec![new]));
        assert!(message.contains("there is no array \"b\""), "{message}");
    }
}

#[test]
fn vectors_may_be_rows_or_columns_and_x_a_capital() {
    let expected = problem(&rows()).unwrap();
    for shape in [[5, 1], [1, 5]] {
        let labels = floats("y", &shape, &[0.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!(problem(&with(&rows(), vec![labels])).unwrap(), expected);
    }
    for shape in [[2, 1], [1, 2]] {
        assert_eq!(problem(&with(&rows(), vec![counting("b", &shape, 30.0)])).unwrap(), expected);
    }
    assert_eq!(problem(&with(&rows(), vec![floats("lambda", &[1, 1], &[0.25])])).unwrap(), expected);
    let capital = counting("X", &[5, 3], 1.0);
    assert_eq!(problem(&with(&without(&rows(), "x"), vec![capital])).unwrap(), expected);
    assert_eq!(problem(&with(&rows(), vec![counting("X", &[7, 9], 8.0)])).unwrap(), expected, "x is there too");
    assert_eq!(problem(&with(&rows(), vec![text("loss", "softmax"), text("layout", "rows")])).unwrap(), expected);
    assert_eq!(problem(&with(&rows(), vec![text("loss", "bce")])).unwrap().loss(), Loss::Bce);
}

#[test]
fn a_problem_that_does_not_fit_together_is_refused_with_the_array_at_fault() {
    for (new, words) in [
        (floats("y", &[5, 1, 1], &[0.0; 5]), "array \"y\" must have the shape (1 or more)"),
        (floats("y", &[0], &[]), "array \"y\" must have the shape (1 or more)"),
        (floats("y", &[], &[0.0]), "array \"y\" must have the shape (1 or more)"),
        (floats("y", &[5], &[0.0, 1.0, 2.0, 0.0, 1.0]), "array \"y\": labels must be 0 to 1, but one is 2"),
        (floats("y", &[5], &[0.0, 1.0, -1.0, 0.0, 1.0]), "labels must be 0 to 1, but one is -1"),
        (floats("y", &[5], &[0.0, 0.5, 1.0, 0.0, 1.0]), "labels must be 0 to 1, but one is 0.5"),
        (counting("b", &[2, 1, 1], 30.0), "array \"b\" must have the shape (2)"),
        (counting("b", &[4], 30.0), "array \"b\" must have the shape (2)"),
        (counting("x", &[5, 4], 1.0), "array \"x\" must have the shape (5, 3)"),
        (counting("x", &[4, 3], 1.0), "array \"x\" must have the shape (5, 3)"),
        (counting("x", &[5, 3, 1], 1.0), "array \"x\" must have the shape (1 or more, 1 or more)"),
        (floats("W", &[2, 3], &[1.0, 1.0, 1.0, f64::NAN, 1.0, 1.0]), "array \"W\": must be finite, but W[1, 0] is NaN"),
        (floats("b", &[2], &[1.0, f64::INFINITY]), "array \"b\": must be finite, but b[1] is inf"),
        (counting("lambda", &[2], 1.0), "array \"lambda\" must have the shape (), one number"),
        (floats("lambda", &[], &[-0.5]), "lambda must be at least 0"),
        (text("loss", "hinge"), "array \"loss\": "),
        (text("layout", "matlab"), "array \"layout\": must be rows, columns or cs231n, but is \"matlab\""),
        (text("layout", "columns"), "array \"x\" must have the shape (3, 5)"),
    ] {
        let message = refusal(&with(&rows(), vec![new]));
        assert!(message.contains(words) && message.contains("problem.npz"), "{words}: {message}");
    }
    for name in ["x", "y", "W", "lambda"] {
        let message = refusal(&without(&rows(), name));
        assert!(message.contains(&format!("there is no array {name:?}")), "{message}");
        assert!(message.contains("a problem has x, y, W, b and lambda"), "{message}");
    }
}

#[test]
fn a_label_is_at_most_255_however_many_classes_there_are() {
    let with_label = |label: f64| {
        let arrays = vec![
            floats("x", &[1, 1], &[1.0]),
            floats("y", &[1], &[label]),
            counting("W", &[300, 1], 0.0),
            counting("b", &[300], 0.0),
            floats("lambda", &[], &[0.0]),
            text("layout", "rows"),
        ];
        problem(&arrays).map(|exercise| exercise.labels().to_vec()).map_err(|error| error.to_string())
    };
    assert_eq!(with_label(255.0), Ok(vec![255]));
    assert!(with_label(256.0).unwrap_err().ends_with("labels must be 0 to 255, but one is 256"));
}

/// A solution of `exercise_of(layout)` with these names, in rows.
fn solution(weight: &'static str, bias: &'static str) -> Arrays {
    vec![counting(weight, &[2, 3], 1.0), counting(bias, &[2], 7.0)]
}

const IN_ROWS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// 5 examples of 3 features, the last of which is 1, and 2 classes.
fn exercise_of(layout: Layout) -> Exercise {
    let x: Vec<f64> = (0..15).map(|i| if i % 3 == 2 { 1.0 } else { i as f64 }).collect();
    exercise(layout, &x, &[0.5; 6], &[0.0; 2])
}

fn submitted(layout: Layout, arrays: &Arrays) -> Result<Submission, String> {
    let path = Path::new("solution.npz");
    read_submission(&file(arrays), path, &exercise_of(layout)).map_err(|error| error.to_string())
}

fn answer(quantity: Quantity, values: &[f64]) -> Answer {
    Answer { quantity, values: values.to_vec(), is_f32: false }
}

/// Gradients in rows.
fn gradients() -> Submission {
    vec![answer(Quantity::Weight, &IN_ROWS), answer(Quantity::Bias, &[7.0, 8.0])]
}

#[test]
fn gradients_have_one_of_three_pairs_of_names_and_may_be_turned() {
    for (weight, bias) in [("grad_W", "grad_b"), ("dW", "db"), ("W", "b"), ("grad_W", "db"), ("dW", "grad_b")] {
        assert_eq!(submitted(Layout::Rows, &solution(weight, bias)), Ok(gradients()), "{weight} {bias}");
    }
    for shape in [&[2, 1][..], &[1, 2]] {
        let arrays = with(&solution("dW", "db"), vec![counting("db", shape, 7.0)]);
        assert_eq!(submitted(Layout::Rows, &arrays), Ok(gradients()));
    }
    let turned = floats("dW", &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(submitted(Layout::Rows, &with(&solution("dW", "db"), vec![turned])), Ok(gradients()));
    // Beside gradients, W and b are the parameters.
    let parameters = vec![counting("W", &[2, 3], 50.0), counting("b", &[2], 60.0)];
    assert_eq!(submitted(Layout::Rows, &with(&solution("grad_W", "db"), parameters.clone())), Ok(gradients()));
    for (alone, missing) in [("grad_W", "grad_b"), ("dW", "grad_b"), ("grad_b", "grad_W"), ("db", "grad_W")] {
        let of = if missing == "grad_b" { counting(alone, &[2, 3], 1.0) } else { counting(alone, &[2], 7.0) };
        let message = submitted(Layout::Rows, &with(&parameters, vec![of])).unwrap_err();
        assert!(message.contains(&format!("there is no array {missing:?}")), "{alone}: {message}");
        assert!(message.contains("a solution has grad_W and grad_b, or dW and db"), "{message}");
    }
    let message = submitted(Layout::Rows, &with(&solution("dW", "db"), vec![counting("dW", &[3, 3], 0.0)]));
    assert!(message.as_ref().unwrap_err().contains("array \"dW\" must have the shape (2, 3) or (3, 2)"), "{message:?}");
}

#[test]
fn two_names_for_one_gradient_must_hold_the_same_numbers() {
    let both = |other: &[f64]| with(&solution("grad_W", "grad_b"), vec![floats("dW", &[2, 3], other)]);
    assert_eq!(submitted(Layout::Rows, &both(&IN_ROWS)), Ok(gradients()));
    let message = submitted(Layout::Rows, &both(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.5])).unwrap_err();
    let expected = "array \"grad_W\": there is also \"dW\" with other numbers: leave one of them out";
    assert!(message.ends_with(expected), "{message}");
    let in_another_shape = with(&solution("grad_W", "grad_b"), vec![floats("dW", &[3, 2], &IN_ROWS)]);
    assert!(submitted(Layout::Rows, &in_another_shape).unwrap_err().ends_with(expected));
    // A NaN is the same as itself.
    let nan = [1.0, f64::NAN, 3.0, 4.0, 5.0, 6.0];
    let arrays = with(&both(&nan), vec![floats("grad_W", &[2, 3], &nan)]);
    assert!(submitted(Layout::Rows, &arrays).unwrap()[0].values[1].is_nan());
}

#[test]
fn loss_and_cost_are_optional_single_numbers() {
    for shape in [&[][..], &[1], &[1, 1]] {
        let arrays = with(
            &solution("dW", "db"),
            vec![floats("loss", shape, &[2.5]), ("cost", shape.to_vec(), Of::F32(vec![3.5]))],
        );
        let found = submitted(Layout::Rows, &arrays).unwrap();
        assert_eq!(found[..3], [gradients(), vec![answer(Quantity::Loss, &[2.5])]].concat());
        assert_eq!(found[3], Answer { is_f32: true, ..answer(Quantity::Cost, &[3.5]) });
        assert_eq!(found.len(), 4);
    }
    let arrays = with(&solution("dW", "db"), vec![floats("loss", &[2], &[2.5, 2.5])]);
    let message = submitted(Layout::Rows, &arrays).unwrap_err();
    assert!(message.contains("array \"loss\" must have the shape () or (1) or (1, 1)"), "{message}");
    // The kind of loss of a problem that was saved with its solution.
    assert_eq!(submitted(Layout::Rows, &with(&solution("dW", "db"), vec![text("loss", "bce")])), Ok(gradients()));
}

#[test]
fn with_the_bias_among_the_weights_there_is_no_other_and_the_loss_is_the_cost() {
    let weight = || vec![floats("dW", &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0])];
    let of = |new: Arrays| submitted(Layout::Cs231n, &with(&weight(), new));
    let gradient = answer(Quantity::Weight, &IN_ROWS);
    assert_eq!(of(vec![]), Ok(vec![gradient.clone()]));
    for name in ["loss", "cost"] {
        let found = of(vec![floats(name, &[], &[2.5])]);
        assert_eq!(found, Ok(vec![gradient.clone(), answer(Quantity::Cost, &[2.5])]), "{name}");
    }
    for (new, words) in [
        (
            vec![counting("db", &[2], 7.0)],
            "array \"db\": in the layout cs231n the bias is the last row of W: leave it out",
        ),
        (
            vec![floats("loss", &[], &[2.5]), floats("cost", &[], &[2.5])],
            "array \"loss\": in the layout cs231n the loss is the cost: leave one of them out",
        ),
    ] {
        let message = of(new).unwrap_err();
        assert!(message.ends_with(words), "{message}");
    }
    let message = submitted(Layout::Cs231n, &vec![floats("loss", &[], &[2.5])]).unwrap_err();
    assert!(message.contains("there is no array \"grad_W\""), "{message}");
}

#[test]
fn a_square_gradient_has_the_shape_of_the_weights() {
    let values = [1.0, 2.0, 3.0, 4.0];
    for (layout, expected) in
        [(Layout::Rows, values), (Layout::Columns, values), (Layout::Cs231n, [1.0, 3.0, 2.0, 4.0])]
    {
        let exercise = exercise(layout, &[0.5, 1.0, 0.25, 1.0], &[0.5; 4], &[0.0; 2]);
        let mut arrays = vec![floats("dW", &[2, 2], &values)];
        if layout != Layout::Cs231n {
            arrays.push(floats("db", &[2], &[1.0, 2.0]));
        }
        let found = read_submission(&file(&arrays), Path::new("a.npz"), &exercise).unwrap();
        assert_eq!(found[0], answer(Quantity::Weight, &expected), "{layout:?}");
        if layout != Layout::Cs231n {
            assert_eq!(found[1], answer(Quantity::Bias, &[1.0, 2.0]), "{layout:?}");
        }
    }
}

#[test]
fn a_gradient_alone_is_recognised_by_its_shape() {
    let read = |exercise: &Exercise, path: &str, shape: &[usize], values: &[f64]| {
        let bytes = npy::to_bytes(shape, Elements::F64(values));
        read_submission(&bytes, Path::new(path), exercise).map_err(|error| error.to_string())
    };
    let rows = exercise_of(Layout::Rows);
    let turned = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
    for path in ["a.npy", "a.npz", "gradient"] {
        assert_eq!(read(&rows, path, &[2, 3], &IN_ROWS), Ok(vec![answer(Quantity::Weight, &IN_ROWS)]));
        assert_eq!(read(&rows, path, &[3, 2], &turned), Ok(vec![answer(Quantity::Weight, &IN_ROWS)]));
        for shape in [&[2][..], &[2, 1], &[1, 2]] {
            assert_eq!(read(&rows, path, shape, &[7.0, 8.0]), Ok(vec![answer(Quantity::Bias, &[7.0, 8.0])]));
        }
    }
    let bytes = npy::to_bytes(&[2], Elements::F32(&[7.0, 8.0]));
    assert!(read_submission(&bytes, Path::new("a.npy"), &rows).unwrap()[0].is_f32);
    let message = read(&rows, "a.npy", &[4], &[0.0; 4]).unwrap_err();
    assert!(message.contains("(2, 3) or (3, 2) for grad_W or (2) for grad_b") && message.contains("(4)"), "{message}");
    let square = exercise(Layout::Rows, &[0.5, 1.0], &[0.5; 4], &[0.0; 2]);
    let message = read(&square, "a.npy", &[4], &[0.0; 4]).unwrap_err();
    assert!(message.contains("must have the shape (2, 2) for grad_W or (2) for grad_b"), "{message}");
    // With one feature, both gradients have this shape, unless the feature is that of the bias.
    let one = |layout| read(&exercise(layout, &[1.0], &[0.5; 2], &[0.0; 2]), "a.npy", &[2, 1], &[7.0, 8.0]);
    let message = one(Layout::Rows).unwrap_err();
    assert!(message.ends_with("may be grad_W or grad_b: save both by name with np.savez"), "{message}");
    assert_eq!(one(Layout::Cs231n), Ok(vec![answer(Quantity::Weight, &[7.0, 8.0])]));
    // By its name, an archive is no single array.
    assert!(read_submission(&file(&solution("dW", "db")), Path::new("a.npy"), &rows).is_err());
}

#[test]
fn the_transpose_of_a_matrix_has_its_columns_as_rows() {
    assert_eq!(transposed(&IN_ROWS, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(transposed(&IN_ROWS, 1), IN_ROWS);
    assert_eq!(transposed(&IN_ROWS, 6), IN_ROWS);
}
