//! Values as people write them.
//!
//! Owns the reading of values from text and their exact bits as text; printing is `Display` of [`Value`]. The one idea:
//! a value that does not fit its type is an error and never becomes another value. Decimal floats are rounded once, by
//! the standard library.

use kiln::{Type, Value};

/// Says in front of hexadecimal digits that they are the bits of the value.
const BITS: &str = "bits:";

/// How many hexadecimal digits the bits of a type have.
const fn digits(ty: Type) -> usize {
    match ty {
        Type::Bool => 1,
        Type::I32 | Type::F32 => 8,
        Type::I64 | Type::F64 => 16,
    }
}

/// The bits of a value in hexadecimal, as wide as its type.
pub(crate) fn bits(value: Value) -> String {
    format!("{:0width$x}", value.to_bits(), width = digits(value.ty()))
}

/// The bits of a value in the form that [`read`] reads.
pub(crate) fn bits_input(value: Value) -> String {
    format!("{BITS}{}", bits(value))
}

/// Is this one of the texts that make an input a bool?
pub(crate) fn is_bool(text: &str) -> bool {
    matches!(text, "true" | "false")
}

/// Reads a value of type `ty`; the error is the end of a sentence that begins with the text: "... is no i32".
pub(crate) fn read(text: &str, ty: Type) -> Result<Value, String> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix(BITS) {
        return read_bits(hex, ty);
    }
    match ty {
        Type::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("is no bool: give true or false".to_owned()),
        },
        Type::I32 | Type::I64 => read_int(text, ty),
        Type::F32 | Type::F64 => read_float(text, ty),
    }
}

/// Reads a number of things as people write large ones: `10_000_000`, `1e9`, `2.5e6`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let plain = ungroup(text.trim());
    if let Ok(count) = plain.parse::<u64>() {
        return Ok(count);
    }
    // Powers of ten are exact as far as a count goes.
    match plain.parse::<f64>() {
        Ok(count) if count >= 0.0 && count.fract() == 0.0 && count < u64::MAX as f64 => Ok(count as u64),
        Ok(count) if count >= u64::MAX as f64 => Err(format!("the largest is {}", u64::MAX)),
        _ => Err("it is no whole number, such as 10_000_000 or 1e9".to_owned()),
    }
}

/// Reads a range, `LOW:HIGH`.
pub(crate) fn range(text: &str) -> Result<(f64, f64), String> {
    let wrong = || "it is no range, such as 0:1 or -2.5:2.5".to_owned();
    let (low, high) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(wrong);
    let (low, high) = (number(low)?, number(high)?);
    if low <= high { Ok((low, high)) } else { Err("its low end is above its high end".to_owned()) }
}

fn read_bits(hex: &str, ty: Type) -> Result<Value, String> {
    let plain = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let bits = if plain { u64::from_str_radix(hex.trim_start_matches('0'), 16).ok() } else { None };
    let bits = bits.or_else(|| (plain && hex.bytes().all(|b| b == b'0')).then_some(0));
    match bits {
        Some(bits) if bits.checked_shr(ty.bits()).unwrap_or(0) == 0 => Ok(Value::from_bits(ty, bits)),
        Some(_) => Err(format!("has more than the {} bits of {ty}", ty.bits())),
        None => Err(format!("is no bit pattern: give up to {} hexadecimal digits after `bits:`", digits(ty))),
    }
}

/// A sign and the digits of a number in radix 2, 8 or 16, if it is written in one.
fn radix_form(text: &str) -> Option<(bool, Result<u64, std::num::ParseIntError>)> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let radix = match rest.get(..2)? {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => return None,
    };
    let digits = ungroup(&rest[2..]);
    // The sign was taken; another one is no digit.
    let digits = if digits.starts_with(['+', '-']) { String::new() } else { digits };
    Some((negative, u64::from_str_radix(&digits, radix)))
}

/// The digits without `_` between them.
fn ungroup(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let grouped = |at: usize| bytes[at] == b'_' && digit(at.checked_sub(1)) && digit(at.checked_add(1));
    text.char_indices().filter(|&(at, c)| c != '_' || !grouped(at)).map(|(_, c)| c).collect()
}

fn read_int(text: &str, ty: Type) -> Result<Value, String> {
    let (least, most, bits) = if ty == Type::I32 {
        (i128::from(i32::MIN), i128::from(i32::MAX), 32)
    } else {
        (i128::from(i64::MIN), i128::from(i64::MAX), 64)
    };
    let misfit = || format!("does not fit {ty}, which holds {least} to {most}");
    let wide = match radix_form(text) {
        // Without a sign, the full unsigned width counts as the bits of the value: 0xffffffff at i32 is -1.
        Some((false, Ok(value))) if value.checked_shr(bits).unwrap_or(0) == 0 => {
            return Ok(Value::from_bits(ty, value));
        }
        Some((true, Ok(value))) => -i128::from(value),
        Some((false, Ok(_))) => return Err(misfit()),
        Some((_, Err(error))) if *error.kind() == std::num::IntErrorKind::PosOverflow => return Err(misfit()),
        Some(_) => return Err(format!("is no {ty}")),
        None => {
            let plain = ungroup(text);
            match plain.parse::<i128>() {
                Ok(value) => value,
                Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => return Err(misfit()),
                Err(error) if *error.kind() == std::num::IntErrorKind::NegOverflow => return Err(misfit()),
                Err(_) if plain.parse::<f64>().is_ok() => return Err(format!("is no {ty}: it is not a plain integer")),
                Err(_) => return Err(format!("is no {ty}")),
            }
        }
    };
    if wide < least || wide > most {
        return Err(misfit());
    }
    // Checked just above; the low bits are the value in two's complement.
    Ok(Value::from_bits(ty, wide as u64))
}

fn read_float(text: &str, ty: Type) -> Result<Value, String> {
    if let Some((negative, digits)) = radix_form(text) {
        let Ok(magnitude) = digits else { return Err(format!("is no {ty}")) };
        return Ok(match ty {
            Type::F32 if negative => Value::F32(-(magnitude as f32)),
            Type::F32 => Value::F32(magnitude as f32),
            _ if negative => Value::F64(-(magnitude as f64)),
            _ => Value::F64(magnitude as f64),
        });
    }
    let plain = ungroup(text);
    // "inf" and "infinity" are infinite, and so is what is too large for the type, which is the one that is refused.
    let named = plain.contains(['n', 'N']);
    let too_large = || format!("does not fit {ty}: it is too large");
    if ty == Type::F32 {
        match plain.parse::<f32>() {
            Ok(value) if value.is_infinite() && !named => Err(too_large()),
            Ok(value) => Ok(Value::F32(value)),
            Err(_) => Err(format!("is no {ty}")),
        }
    } else {
        match plain.parse::<f64>() {
            Ok(value) if value.is_infinite() && !named => Err(too_large()),
            Ok(value) => Ok(Value::F64(value)),
            Err(_) => Err(format!("is no {ty}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_exactly_or_refused() {
        // text, type, bits or nothing
        let cases = [
            ("27", Type::F64, Some(27f64.to_bits())),
            ("-0", Type::F64, Some((-0f64).to_bits())),
            ("1e999", Type::F64, None),
            ("1e39", Type::F32, None),
            ("0.1", Type::F32, Some(u64::from(0.1f32.to_bits()))),
            ("inf", Type::F64, Some(f64::INFINITY.to_bits())),
            ("-inf", Type::F32, Some(u64::from(f32::NEG_INFINITY.to_bits()))),
            ("0x10", Type::F64, Some(16f64.to_bits())),
            ("1_000", Type::F64, Some(1000f64.to_bits())),
            ("1__0", Type::F64, None),
            ("_1", Type::I32, None),
            ("", Type::F64, None),
            ("x", Type::F64, None),
            ("9007199254740993", Type::I64, Some(9_007_199_254_740_993)),
            ("9223372036854775808", Type::I64, None),
            ("-9223372036854775808", Type::I64, Some(1 << 63)),
            ("2147483648", Type::I32, None),
            ("-2147483648", Type::I32, Some(0x8000_0000)),
            ("-2147483649", Type::I32, None),
            ("0xffffffff", Type::I32, Some(0xffff_ffff)),
            ("0x1ffffffff", Type::I32, None),
            ("-0xff", Type::I32, Some(0xffff_ff01)),
            ("0x-1", Type::I32, None),
            ("0xffffffffffffffff", Type::I64, Some(u64::MAX)),
            ("0x1ffffffffffffffff", Type::I64, None),
            ("99999999999999999999999999999999999999999999", Type::I64, None),
            ("1.0", Type::I32, None),
            ("true", Type::Bool, Some(1)),
            ("1", Type::Bool, None),
            ("true", Type::F64, None),
            ("bits:3ff0000000000000", Type::F64, Some(1f64.to_bits())),
            ("bits:0", Type::F64, Some(0)),
            ("bits:1ffffffff", Type::I32, None),
            ("bits:ffffffff", Type::I32, Some(0xffff_ffff)),
            ("bits:2", Type::Bool, None),
            ("bits:", Type::F64, None),
            ("bits:+1", Type::F64, None),
            ("bits:11111111111111111", Type::F64, None),
        ];
        for (text, ty, expected) in cases {
            assert_eq!(read(text, ty).ok().map(Value::to_bits), expected, "{text} at {ty}");
        }
    }

    #[test]
    fn counts_are_whole_numbers_in_any_notation() {
        let cases = [
            ("0", Some(0)),
            ("10_000_000", Some(10_000_000)),
            ("1e9", Some(1_000_000_000)),
            ("2.5e6", Some(2_500_000)),
            ("1E18", Some(1_000_000_000_000_000_000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("1e30", None),
            ("inf", None),
            ("nan", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("many", None),
        ];
        for (text, expected) in cases {
            assert_eq!(count(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn bits_read_back() {
        for value in [Value::F64(-0.0), Value::F32(1.5), Value::I32(-1), Value::I64(i64::MIN), Value::Bool(true)] {
            assert!(read(&bits_input(value), value.ty()).unwrap().same(value), "{value:?}");
        }
        assert_eq!(bits(Value::I32(-1)), "ffffffff");
        assert_eq!(bits(Value::F32(0.0)), "00000000");
        assert_eq!(bits(Value::Bool(true)), "1");
    }
}
