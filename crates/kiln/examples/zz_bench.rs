use kiln::*;
use std::time::Instant;
fn main() {
    let text = std::fs::read_to_string("/work/shared/data/formulas.tsv").unwrap();
    let mk = |m: Mode| { let mut o = Options::default(); o.memory = m; Engine::with_options(o).unwrap() };
    let strict = mk(Mode::Strict); let dual = mk(Mode::DualMapped);
    let mut geo = [0.0f64; 3]; let mut n = 0;
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let mut c = line.split('\t'); let name = c.next().unwrap(); let f = c.next().unwrap();
        let mut best = [f64::MAX; 3];
        for _ in 0..30 {
            let k = 200;
            let t = Instant::now(); for _ in 0..k { std::hint::black_box(dual.compile(f).unwrap()); } best[0] = best[0].min(t.elapsed().as_nanos() as f64 / k as f64);
            let t = Instant::now(); for _ in 0..k { std::hint::black_box(strict.compile(f).unwrap()); } best[1] = best[1].min(t.elapsed().as_nanos() as f64 / k as f64);
            let mut b = strict.batch();
            let t = Instant::now(); for _ in 0..k { b.add(f).unwrap(); } std::hint::black_box(b.finish().unwrap()); best[2] = best[2].min(t.elapsed().as_nanos() as f64 / k as f64);
        }
        println!("{name:14} dual {:8.0} strict {:8.0} batch {:8.0} ns  code {}", best[0], best[1], best[2], dual.compile(f).unwrap().code_bytes().len());
        for i in 0..3 { geo[i] += best[i].ln(); } n += 1;
    }
    println!("geo dual {:.0} strict {:.0} batch {:.0}", (geo[0] / n as f64).exp(), (geo[1] / n as f64).exp(), (geo[2] / n as f64).exp());
}
