//! Places on the globe as numbers: cells of a cube's faces, so that neither the poles nor the date
//! line are borders.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

/// A point of the unit sphere.
pub type Vector = [f64; 3];

/// The bits of a code: one unused, three for the face, thirty pairs for the place on it.
pub const PLACE_BITS: u32 = 64;
/// The bits in front of the place on a face.
pub const FACE_BITS: u32 = 4;
/// The faces of the cube.
pub const FACES: u64 = 6;

/// Half the bits of a place on a face: a cell is about a centimetre wide.
const SIDE: u32 = 30;

/// Degrees as a point of the unit sphere.
pub fn vector(latitude: f64, longitude: f64) -> Vector {
    // The same place has the same point, however it is written.
    let longitude = match longitude {
        _ if latitude.abs() >= 90.0 => 0.0,
        east if east <= -180.0 => east + 360.0,
        east => east,
    };
    let (up, around) = (latitude.to_radians(), longitude.to_radians());
    [up.cos() * around.cos(), up.cos() * around.sin(), up.sin()]
}

/// The code of the cell that a point lies in: the face, then the bits of the two coordinates on it
/// in turns.
pub fn place(point: Vector) -> u64 {
    let size = |axis: usize| point[axis].abs();
    let axis = if size(0) >= size(1) && size(0) >= size(2) {
        0
    } else if size(1) >= size(2) {
        1
    } else {
        2
    };
    let face = 2 * axis as u64 + u64::from(point[axis] < 0.0);
    let side = |other: usize| {
        // Equal angles rather than equal lengths, so that cells are about equally large.
        let angle = (point[other] / size(axis)).atan() / FRAC_PI_2 + 0.5;
        let cells = f64::from(1u32 << SIDE);
        (angle * cells).clamp(0.0, cells - 1.0) as u32
    };
    let (u, v) = (side((axis + 1) % 3), side((axis + 2) % 3));
    face << (2 * SIDE) | spread(u) << 1 | spread(v)
}

/// The corners of the cells from `first` to `last`, which are all that begin with the same bits.
/// Its edges are great circles. `None` if the code has no such face.
pub fn corners(first: u64, last: u64) -> Option<[Vector; 4]> {
    let face = first >> (2 * SIDE);
    if face >= FACES {
        return None;
    }
    let side = |code: u64, upper: u32| {
        let part = f64::from(gather(code) + upper) / f64::from(1u32 << SIDE);
        ((part - 0.5) * 2.0 * FRAC_PI_4).tan()
    };
    let (u, v) = (
        [side(first >> 1, 0), side(last >> 1, 1)],
        [side(first, 0), side(last, 1)],
    );
    let (axis, front) = (
        (face / 2) as usize,
        if face.is_multiple_of(2) { 1.0 } else { -1.0 },
    );
    let corner = |u: f64, v: f64| {
        let mut point = [0.0; 3];
        point[axis] = front;
        point[(axis + 1) % 3] = u;
        point[(axis + 2) % 3] = v;
        unit(point)
    };
    Some([
        corner(u[0], v[0]),
        corner(u[0], v[1]),
        corner(u[1], v[0]),
        corner(u[1], v[1]),
    ])
}

/// The point of the sphere in the same direction.
pub fn unit(point: Vector) -> Vector {
    let length = point.iter().map(|part| part * part).sum::<f64>().sqrt();
    point.map(|part| part / length)
}

fn spread(number: u32) -> u64 {
    (0..SIDE).fold(0, |out, bit| {
        out | (u64::from(number) >> bit & 1) << (2 * bit)
    })
}

fn gather(code: u64) -> u32 {
    (0..SIDE).fold(0, |out, bit| out | ((code >> (2 * bit) & 1) as u32) << bit)
}
