use kiln::*;
fn main() {
    let mut args = std::env::args().skip(1);
    let ty = args.next().unwrap();
    let text = args.next().unwrap();
    let mut o = Options::default();
    o.default_type = Type::from_name(&ty);
    let e = Engine::with_options(o).unwrap();
    let f = match e.compile(&text) { Ok(f) => f, Err(e) => { println!("{e}"); return } };
    let vals: Vec<Value> = args.zip(f.params()).map(|(a, p)| match p.ty { Type::I32 => Value::I32(a.parse().unwrap()), Type::F64 => Value::F64(a.parse().unwrap()), Type::F32 => Value::F32(a.parse().unwrap()), _ => Value::I64(a.parse().unwrap()) }).collect();
    println!("{}", f.call(&vals).unwrap());
    let i = e.formula(&text).inspect().unwrap();
    for l in i.code { println!("{:4x} {:<30} {}", l.offset, l.bytes.iter().map(|b| format!("{b:02X}")).collect::<String>(), l.text); }
    for s in i.stages { println!("{s:?}"); }
}
