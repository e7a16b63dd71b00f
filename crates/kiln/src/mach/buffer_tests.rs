//! The constant pool and the bounds of the buffer. Layout is tested where there are instructions to lay out.

use super::*;

static PADDING: Padding = Padding { nops: |gap| gap.fill(0x90), trap: 0xCC };

#[test]
fn equal_bits_are_stored_once() {
    let mut pool = Pool::new();
    for round in 0..3 {
        assert_eq!(pool.align(), 0, "round {round}");
        let one = pool.add(&1.0f64.to_bits().to_le_bytes());
        let zero = pool.add(&0.0f64.to_bits().to_le_bytes());
        let minus_zero = pool.add(&(-0.0f64).to_bits().to_le_bytes());
        assert_ne!(zero, minus_zero);
        assert_eq!(one, pool.add(&1.0f64.to_bits().to_le_bytes()));
        let wide = pool.splat(1.0f64.to_bits(), 8, 32);
        assert_eq!(wide % 32, 0);
        assert_eq!(wide, pool.splat(1.0f64.to_bits(), 8, 32));
        assert_eq!(&pool.bytes()[wide as usize + 24..][..8], &1.0f64.to_bits().to_le_bytes());
        assert_eq!(pool.align(), 32);
        let quiet = pool.add(&f64::NAN.to_bits().to_le_bytes());
        assert_ne!(quiet, pool.add(&(f64::NAN.to_bits() | 1).to_le_bytes()));
        pool.clear();
    }
}

#[test]
fn many_constants_stay_distinct() {
    let mut pool = Pool::new();
    for _ in 0..2 {
        let offsets: Vec<i32> = (0..20_000u64).map(|n| pool.add(&n.to_le_bytes())).collect();
        for (n, &offset) in offsets.iter().enumerate() {
            assert_eq!(pool.add(&(n as u64).to_le_bytes()), offset);
            assert_eq!(&pool.bytes()[offset as usize..][..8], &(n as u64).to_le_bytes());
        }
        assert_eq!(pool.bytes().len(), 160_000);
        pool.clear();
        assert!(pool.slots.iter().all(|&slot| slot == 0));
    }
}

#[test]
fn growth_is_bounded() {
    let mut buffer = CodeBuffer::new(&PADDING, 5000);
    for _ in 0..100_000 {
        buffer.extend(&[0x90; 15]);
        assert!(buffer.bytes.len() <= 5000 + 2 * CodeBuffer::WINDOW);
    }
    assert_eq!(buffer.finish(&Pool::new()), Err(LayoutError::TooLarge));
    buffer.clear();
    buffer.extend(&[0x90; 4900]);
    assert_eq!(buffer.finish(&Pool::new()), Ok(()));
    let mut pool = Pool::new();
    (0..20u64).for_each(|n| _ = pool.add(&n.to_le_bytes()));
    buffer.clear();
    buffer.extend(&[0x90; 4900]);
    assert_eq!(buffer.finish(&pool), Err(LayoutError::TooLarge));
}

#[test]
fn unbound_labels_are_an_error() {
    let mut buffer = CodeBuffer::new(&PADDING, 5000);
    let label = buffer.new_label();
    buffer.branch(&[0xE9], 0xEB, label);
    assert_eq!(buffer.finish(&Pool::new()), Err(LayoutError::UnboundLabel(label)));
}

#[test]
fn demanded_short_branches_must_reach() {
    let mut buffer = CodeBuffer::new(&PADDING, 5000);
    let label = buffer.new_label();
    buffer.extend(&[0xEB, 0]);
    buffer.window();
    buffer.fix_near(0, label);
    buffer.extend(&[0x90; 200]);
    buffer.bind(label);
    assert_eq!(buffer.finish(&Pool::new()), Err(LayoutError::TooFar(label)));
}
