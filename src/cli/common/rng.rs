//! The arguments that choose the generator of the random start and the shuffling.

use clap::ValueEnum;
use onelayer::hyperparameters::{Origin, Shuffle};

/// The generator.
#[derive(Clone, Copy, clap::Args)]
pub struct RngArgs {
    /// Generator of the random start and the shuffling [default: chacha8]
    #[arg(long, value_enum, value_name = "RNG")]
    rng: Option<Rng>,
    /// How a NumPy script with rng = default_rng(seed) orders the images of an epoch, after it has drawn W (10,3072) [default:
    /// permutation]
    #[arg(long, value_enum, value_name = "ORDER")]
    rng_order: Option<RngOrder>,
}

/// A generator of random numbers.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rng {
    /// This program's own
    Chacha8,
    /// That of numpy.random.default_rng(seed): W = 0.01 * rng.standard_normal((10, 3072)), then the orders
    Numpy,
}

/// The order of the images in an epoch of a NumPy script.
#[derive(Clone, Copy, ValueEnum)]
pub enum RngOrder {
    /// order = rng.permutation(n) at the start of each epoch
    Permutation,
    /// order = np.arange(n) once, then rng.shuffle(order) at the start of each epoch
    Shuffle,
    /// File order
    None,
}

impl Rng {
    /// The origin of a start that it draws.
    pub fn start(self) -> Origin {
        match self {
            Self::Numpy => Origin::Numpy,
            Self::Chacha8 => Origin::Random,
        }
    }
}

impl RngArgs {
    /// The origin of a start that is drawn; `None` if no generator is given.
    pub fn start(self) -> Option<Origin> {
        self.rng.map(Rng::start)
    }

    /// The shuffling; `None` if no generator is given.
    pub fn shuffle(self) -> Option<Shuffle> {
        Some(match (self.rng?, self.rng_order) {
            (_, Some(RngOrder::None)) => Shuffle::None,
            (Rng::Numpy, Some(RngOrder::Shuffle)) => Shuffle::NumpyShuffle,
            (Rng::Numpy, _) => Shuffle::NumpyPermutation,
            (Rng::Chacha8, _) => Shuffle::ChaCha8,
        })
    }
}
