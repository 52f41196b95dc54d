//! Latencies by percentile, drawn as SVG: both axes are logarithmic, so that the tail has room.

use std::fmt::Write as _;

/// Some latencies.
pub(crate) struct Curve {
    pub(crate) name: String,
    /// In seconds, in order.
    sorted: Vec<f64>,
}

impl Curve {
    pub(crate) fn new(name: String, mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self { name, sorted: seconds }
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The latency that a share of all does not exceed; nothing if there are none.
    pub(crate) fn at(&self, quantile: f64) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = (self.sorted.len() as f64 * quantile) as usize;
        self.sorted.get(index.min(self.sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 56.0;
const RIGHT: f64 = 24.0;
/// Where the axis of percentiles has its marks.
const QUANTILES: [(f64, &str); 6] =
    [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];
const COLOURS: [&str; 4] = ["#4c72b0", "#c44e52", "#55a868", "#8172b2"];
/// Latencies from a tenth of a millisecond to a second.
const DECADES: [(f64, &str); 5] = [(1e-4, "0.1 ms"), (1e-3, "1 ms"), (1e-2, "10 ms"), (1e-1, "100 ms"), (1.0, "1 s")];

/// The curves in one picture.
pub(crate) fn svg(title: &str, curves: &[&Curve]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    for (quantile, label) in QUANTILES {
        let x = x_of(quantile);
        line(&mut svg, (x, TOP), (x, HEIGHT - BOTTOM));
        text(&mut svg, (x, HEIGHT - BOTTOM + 18.0), "middle", label);
    }
    for (seconds, label) in DECADES {
        let y = y_of(seconds);
        line(&mut svg, (LEFT, y), (WIDTH - RIGHT, y));
        text(&mut svg, (LEFT - 6.0, y + 4.0), "end", label);
    }
    text(&mut svg, (WIDTH / 2.0, HEIGHT - 12.0), "middle", "share of requests that took no longer");
    for ((curve, colour), row) in curves.iter().zip(COLOURS).zip(0_u8..) {
        let points = quantiles().map(|quantile| format!("{:.1},{:.1}", x_of(quantile), y_of(curve.at(quantile))));
        let points = points.collect::<Vec<_>>().join(" ");
        put(
            &mut svg,
            format_args!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"),
        );
        let y = TOP + 18.0 + 18.0 * f64::from(row);
        put(
            &mut svg,
            format_args!("<rect x=\"{}\" y=\"{}\" width=\"18\" height=\"4\" fill=\"{colour}\"/>", LEFT + 12.0, y - 6.0),
        );
        text(&mut svg, (LEFT + 36.0, y), "start", &curve.name);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Points of a curve, closer where it is steep.
fn quantiles() -> impl Iterator<Item = f64> {
    (0..=200).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 50.0))
}

/// Each nine takes as much room.
fn x_of(quantile: f64) -> f64 {
    let nines = -(1.0 - quantile).log10();
    LEFT + nines / 4.0 * (WIDTH - LEFT - RIGHT)
}

fn y_of(seconds: f64) -> f64 {
    let decades = (seconds / 1e-4).log10().clamp(0.0, 4.0);
    HEIGHT - BOTTOM - decades / 4.0 * (HEIGHT - TOP - BOTTOM)
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let (x1, y1, x2, y2) = (from.0, from.1, to.0, to.1);
    put(svg, format_args!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"));
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    put(svg, format_args!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{words}</text>", at.0, at.1));
}

fn put(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a string grows");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted() {
        let curve = Curve::new(String::new(), (0..1000).rev().map(f64::from).collect());
        let at = [0.0, 0.5, 0.999, 1.0].map(|quantile| curve.at(quantile).to_string());
        assert_eq!(at, ["0", "500", "999", "999"]);
        assert!(Curve::new(String::new(), Vec::new()).at(0.5).is_nan());
    }

    #[test]
    fn every_nine_has_the_same_room() {
        let (first, second) = (x_of(0.9) - x_of(0.0), x_of(0.99) - x_of(0.9));
        assert!((first - second).abs() < 1e-6);
        assert!((x_of(0.9999) - (WIDTH - RIGHT)).abs() < 1e-6 && (y_of(1e-4) - (HEIGHT - BOTTOM)).abs() < 1e-6);
    }
}
