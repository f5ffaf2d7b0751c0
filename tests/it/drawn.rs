//! The drawn scenes are what their captions say: seen in the pixels of the encoded files.

use crate::scenes::{self, COLORS, Scene};

/// The pixels of each colour of shapes in the encoded file: how many, and their mean place.
fn seen(scene: &Scene) -> Vec<(&'static str, usize, f64, f64)> {
    let picture = image::load_from_memory(&scene.encode()).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (scenes::WIDTH, scenes::HEIGHT));
    let all: Vec<(&str, [u8; 3])> = COLORS.iter().chain(&scenes::BACKGROUNDS).copied().collect();
    let mut found: Vec<(&'static str, usize, f64, f64)> = COLORS.iter().map(|(name, _)| (*name, 0, 0.0, 0.0)).collect();
    for (x, y, pixel) in picture.enumerate_pixels() {
        let distance = |rgb: &[u8; 3]| (0..3).map(|i| (i32::from(pixel.0[i]) - i32::from(rgb[i])).pow(2)).sum::<i32>();
        let nearest = all.iter().min_by_key(|(_, rgb)| distance(rgb)).unwrap().0;
        if let Some(sum) = found.iter_mut().find(|(name, ..)| *name == nearest) {
            *sum = (sum.0, sum.1 + 1, sum.2 + f64::from(x), sum.3 + f64::from(y));
        }
    }
    found.into_iter().map(|(name, n, x, y)| (name, n, x / n.max(1) as f64, y / n.max(1) as f64)).collect()
}

#[test]
fn captions_are_true_of_the_pixels() {
    let scenes = scenes::scenes(1, 60);
    for scene in scenes.iter().filter(|s| s.quality > 0.8) {
        let seen = seen(scene);
        let of = |color: &str| *seen.iter().find(|(name, ..)| *name == color).unwrap();
        for object in &scene.objects {
            let covered = (0..scenes::WIDTH).flat_map(|x| (0..scenes::HEIGHT).map(move |y| (x, y))).filter(|(x, y)| object.covers(*x, *y)).count();
            let same = scene.objects.iter().filter(|o| o.color == object.color).count();
            let share = of(object.color).1 as f64 / (covered * same) as f64;
            assert!((0.85..1.2).contains(&share), "{}: {} of what was drawn {} is seen", scene.path, share, object.color);
        }
        if scene.count == 2 {
            let (first, second) = (of(scene.objects[0].color), of(scene.objects[1].color));
            if scene.caption.contains("left of") {
                assert!(first.2 + 20.0 < second.2, "{}: {}", scene.path, scene.caption);
            } else {
                assert!(scene.caption.contains("above") && first.3 + 20.0 < second.3, "{}: {}", scene.path, scene.caption);
            }
        }
    }
}

#[test]
fn one_seed_draws_one_set() {
    let (a, b) = (scenes::scenes(5, 30), scenes::scenes(5, 30));
    assert_eq!(a, b);
    assert_eq!(a[3].encode(), b[3].encode());
    assert_ne!(a, scenes::scenes(6, 30));
    assert!(scenes::scenes(1, 200).iter().any(|s| s.label != s.shape), "some labels are wrong, for the demo to mend");
}
