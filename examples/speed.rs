//! speed
use onelayer::dataset::Dataset;
use onelayer::network::*;
use onelayer::preprocess::Normalizer;
use std::time::Instant;
fn main() {
    let dims = Dims {
        features: 3072,
        classes: 10,
    };
    let mut s = 1u64;
    let mut next = || {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        s
    };
    let n = 10000;
    let train = Dataset::new(
        dims,
        (0..n * 3072).map(|_| next() as u8).collect(),
        (0..n).map(|_| (next() % 10) as u8).collect(),
    )
    .unwrap();
    let norm = Normalizer::fit(&train).unwrap();
    let parts: Vec<_> = (0..50)
        .map(|p| {
            Dataset::new(
                dims,
                (p * 200..(p + 1) * 200)
                    .flat_map(|i| train.image(i).to_vec())
                    .collect(),
                train.labels()[p * 200..(p + 1) * 200].to_vec(),
            )
            .unwrap()
        })
        .collect();
    let order: Vec<usize> = (0..n).map(|i| (i * 7919) % n).collect();
    let args: Vec<usize> = std::env::args()
        .skip(1)
        .map(|a| a.parse().unwrap())
        .collect();
    let m = args.first().copied().unwrap_or(4);
    let threads = args.get(1).copied().unwrap_or(2);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        let members: Vec<_> = (0..m).map(|_| Parameters::new(dims, (0..30720).map(|_| (next() as u8 as f32 - 127.5) * 1e-4).collect(), vec![0.0; 10]).unwrap()).collect();
        let mut group = Group::new(&members).unwrap();
        let rates = vec![Rate { eta: 0.001, lambda: 0.1 }; m];
        let mut batch = Batch::new(&group, 100);
        let (mut f, mut a, mut b) = (vec![], vec![], vec![]);
        let mut bwd = vec![];
        for _ in 0..args.get(2).copied().unwrap_or(8) {
            for (i, indices) in order.chunks(100).enumerate() {
                f.push(1.0 / fma_rate());
                let t = Instant::now();
                group.step(&mut batch, Examples::Chosen(&train, &norm, indices), &rates).unwrap();
                a.push(t.elapsed().as_secs_f64());
                bwd.push(group.bench_backward(&mut batch, &rates));
                let t = Instant::now();
                assert!(group.evaluate(Examples::All(&parts[i % 50], &norm)).unwrap()[0].loss.is_finite());
                b.push(t.elapsed().as_secs_f64());
            }
        }
        for (name, q) in [("p05", 0.05), ("p25", 0.25), ("p50", 0.5)] {
            let mut quantile = |v: &mut Vec<f64>| { v.sort_by(f64::total_cmp); v[(v.len() as f64 * q) as usize] };
            let (f, a, b, w) = (1.0 / quantile(&mut f), quantile(&mut a), quantile(&mut b), quantile(&mut bwd));
            let flop = 2.0 * 100.0 * 30720.0 * m as f64;
            let (ra, rb, rw) = (2.0 * flop / a / 1e9, 2.0 * flop / b / 1e9, flop / w / 1e9);
            println!("{name} m {m} threads {threads}: fma {f:.1}; train {ra:.1} ({:.0}%), backward {rw:.1} ({:.0}%), eval {rb:.1} ({:.0}%); epoch {:.1} ms/member {:.1} %", 100.0 * ra / f, 100.0 * rw / f, 100.0 * rb / f, 100.0 * (a + b) / m as f64 * 1e3, 400.0 * flop / (a + b) / 1e9 / f);
        }
    });
}
