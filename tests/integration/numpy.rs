//! NumPy's random numbers: the library's beside those of a real NumPy, and a training that starts and shuffles with them.

use std::process::Command;

use onelayer::dataset::cifar10::DIMS;
use onelayer::hyperparameters::{Origin, Shuffle};
use onelayer::train::model::ModelFile;
use onelayer::train::numpy::Generator;
use onelayer::train::start_from_npz;
use tempfile::tempdir;

use crate::referee::python_with_numpy;

/// Prints the bits of normals and of a permutation for each seed and length, all drawn from one generator.
const SCRIPT: &str = "
import numpy, sys
for seed, length in [line.split(',') for line in sys.argv[1:]]:
    rng = numpy.random.default_rng(int(seed))
    for _ in range(2):
        print(*rng.standard_normal(int(length)).view('u8'), *rng.permutation(int(length)))
";

#[test]
fn normals_and_permutations_are_those_of_a_real_numpy_to_the_last_bit() {
    let Some(python) = python_with_numpy() else {
        eprintln!("skipped: no python3 with numpy here");
        return;
    };
    let cases = [
        (0, 1),
        (1, 2),
        (42, 3),
        (7, 64),
        (8, 65),
        (2025, 1000),
        (u64::from(u32::MAX), 4097),
        (1 << 32, 10_000),
        (u64::MAX, 50_001),
    ];
    let arguments = cases.map(|(seed, length)| format!("{seed},{length}"));
    let output = Command::new(python).args(["-c", SCRIPT]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut lines = printed.lines();
    for (seed, length) in cases {
        let mut generator = Generator::new(seed);
        for _ in 0..2 {
            let expected: Vec<u64> = lines.next().unwrap().split(' ').map(|word| word.parse().unwrap()).collect();
            let mut drawn: Vec<u64> = (0..length).map(|_| generator.standard_normal().to_bits()).collect();
            let mut order: Vec<u64> = (0..length).collect();
            generator.shuffle(&mut order);
            drawn.extend(order);
            assert!(drawn == expected, "seed {seed}, {length} numbers");
        }
    }
}

#[test]
fn a_training_with_the_generator_of_numpy_says_so_and_starts_as_a_script_does() {
    let out = tempdir().unwrap();
    let train = |name: &str, options: &[&str]| {
        let folder = out.path().join(name);
        let mut command = Command::new(crate::program());
        command.args(["train", "--dataset", "sample", "--eta", "0.01", "--epochs", "2", "--quiet", "--out"]);
        let output = command.arg(&folder).args(options).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = folder.join("model_lambda0_eta0.01.safetensors");
        ModelFile::from_bytes(&std::fs::read(&path).unwrap(), &path).unwrap()
    };
    let permuted = train("permutation", &["--rng", "numpy"]);
    let hyperparameters = &permuted.hyperparameters;
    assert_eq!((hyperparameters.shuffle, &hyperparameters.start), (Shuffle::NumpyPermutation, &Origin::Numpy));
    let shuffled = train("shuffle", &["--rng", "numpy", "--rng-order", "shuffle"]);
    assert_eq!(shuffled.hyperparameters.shuffle, Shuffle::NumpyShuffle);
    let in_order = train("none", &["--rng", "numpy", "--rng-order", "none"]);
    let own = train("own", &[]);
    for (a, b) in [(&permuted, &shuffled), (&permuted, &in_order), (&permuted, &own)] {
        assert!(a.parameters.weight != b.parameters.weight);
    }

    let Some(python) = python_with_numpy() else {
        eprintln!("skipped: no python3 with numpy here");
        return;
    };
    // The same start from a file, in file order, gives the same bits.
    let start = out.path().join("start.npz");
    let script =
        "import numpy, sys; numpy.savez(sys.argv[1], W=.01 * numpy.random.default_rng(42).standard_normal((10, 3072)))";
    assert!(Command::new(python).args(["-c", script]).arg(&start).status().unwrap().success());
    assert!(start_from_npz(&std::fs::read(&start).unwrap(), &start, DIMS).is_ok());
    let from_file = train("file", &["--no-shuffle", "--init", start.to_str().unwrap()]);
    assert!(from_file.parameters == in_order.parameters);
}
