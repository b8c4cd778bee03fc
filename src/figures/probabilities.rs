//! `probabilities_<setting>.png`: histogram of the probability of the true class.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::evaluate::table::ProbabilityRow;
use crate::figures::canvas::*;
use crate::hyperparameters::Setting;

/// Width, height, and height of the band with the title and the legend, in pixels.
const SIZE: (u32, u32) = (800, 440);
const HEAD: u32 = 56;
/// From the left edge to the vertical axis.
const AXIS_LEFT: u32 = 96;

/// The figure of the rows of `setting`: right and wrong examples side by side.
pub fn probabilities_figure(setting: Setting, rows: &[ProbabilityRow]) -> Vec<u8> {
    let (width, height) = (scaled(SIZE.0), scaled(SIZE.1));
    let pixels = draw(width, height, |area| {
        let (head, body) = area.split_vertically(scaled(HEAD));
        let middle = scaled(HEAD) / 2;
        let text = |line: &str, x, size, color: &RGBColor| {
            let at = (scaled(x), middle);
            draw_text_in(&head, line, at, scaled(size), HPos::Left, color)
        };
        let loss = setting.loss();
        let title = format!("{}   {loss}", title(setting.lambda(), setting.eta()));
        text(&title, AXIS_LEFT, 22, &INK)?;
        text("right", SIZE.0 - 180, 22, &TRAINING)?;
        text("wrong", SIZE.0 - 100, 22, &VALIDATION)?;

        let most = rows.iter().map(|row| row.right.max(row.wrong)).max();
        let top = (most.unwrap_or(0).max(1) as f64 * 1.05).ceil();
        let mut chart = ChartBuilder::on(&body)
            .margin_left(scaled(14))
            .margin_right(scaled(24))
            .margin_bottom(scaled(8))
            .x_label_area_size(scaled(52))
            .y_label_area_size(scaled(AXIS_LEFT - 14))
            .build_cartesian_2d(0.0..1.0, 0.0..top)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("probability of the true class")
            .y_desc("test images")
            .x_labels(11)
            .y_labels(7)
            .x_label_formatter(&|x| format!("{x:.1}"))
            .y_label_formatter(&|y| format!("{y:.0}"));
        dress_axes(&mut mesh, 18, 20);
        mesh.draw()?;
        chart.draw_series(rows.iter().flat_map(bars))?;
        Drawn::Ok(())
    });
    encode_png(SIZE.0, SIZE.1, &average_down(&pixels, width as usize))
}

/// The two bars of a row, with some space to the neighbours.
fn bars(row: &ProbabilityRow) -> [Rectangle<(f64, f64)>; 2] {
    let ProbabilityRow { lower, upper, .. } = *row;
    let at = |share: f64| lower + share * (upper - lower);
    let bar = |from, to, count: usize, color: RGBColor| {
        Rectangle::new([(at(from), 0.0), (at(to), count as f64)], color.filled())
    };
    [bar(0.1, 0.5, row.right, TRAINING), bar(0.5, 0.9, row.wrong, VALIDATION)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bars_are_as_high_as_their_counts() {
        let row = |lower, right, wrong| ProbabilityRow { lower, upper: lower + 0.05, right, wrong };
        let figure = probabilities_figure(Setting::REPORT[0], &[row(0.0, 0, 60), row(0.95, 30, 0)]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(figure)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let height_of = |RGBColor(r, g, b): RGBColor| {
            let below_head = HEAD as usize * SIZE.0 as usize;
            let rows = pixels.as_chunks::<3>().0[below_head..].chunks(SIZE.0 as usize);
            rows.filter(|row| row.contains(&[r, g, b])).count()
        };
        let (right, wrong) = (height_of(TRAINING), height_of(VALIDATION));
        assert!(wrong > 200 && right.abs_diff(wrong / 2) <= 2, "{right} {wrong}");
    }
}
