//! Images made smaller, and one made from nothing.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits, Rgb,
    RgbImage,
};

/// The largest thumbnail, in pixels per side.
pub(super) const MAX_SIZE: u32 = 4096;
/// Images that would need more memory are refused, whatever their files claim.
const MAX_MEMORY: u64 = 512 << 20;
const MAX_SIDE: u32 = 32_768;
const JPEG_QUALITY: u8 = 85;

/// The image in `data` at no more than `size` by `size` pixels, its proportions kept; never
/// enlarged. Returns the file and its type: PNG where there is transparency, else JPEG.
///
/// # Errors
///
/// What is wrong with the image.
pub(super) fn shrink(data: &[u8], size: u32) -> Result<(Vec<u8>, &'static str), String> {
    let image = decode(data).map_err(|error| text(&error))?;
    let image = fit(image, size);
    let has_alpha = image.color().has_alpha();
    let (encoded, kind) = if has_alpha {
        (png(&image), "image/png")
    } else {
        (jpeg(&image), "image/jpeg")
    };
    Ok((encoded.map_err(|error| text(&error))?, kind))
}

/// The image in `data` as a JPEG of no more than `size` by `size` pixels.
///
/// # Errors
///
/// What is wrong with the image.
pub(super) fn shrink_to_jpeg(data: &[u8], size: u32) -> Result<Vec<u8>, String> {
    let image = decode(data).map_err(|error| text(&error))?;
    jpeg(&fit(image, size)).map_err(|error| text(&error))
}

/// Whether `data` starts like an image that can be read here.
pub(super) fn is_image(data: &[u8]) -> bool {
    image::guess_format(data).is_ok_and(|format| format.reading_enabled())
}

/// A grey tile with a play button: a PNG of 300 by 300 pixels.
pub(super) fn placeholder() -> Vec<u8> {
    let tile = RgbImage::from_fn(300, 300, |x, y| {
        let (right, off) = (x.abs_diff(110), y.abs_diff(150));
        let in_triangle = x >= 110 && right <= 96 && off * 96 <= (96 - right) * 56;
        Rgb(if in_triangle { [140; 3] } else { [58; 3] })
    });
    png(&tile.into()).expect("a tile held in memory can be encoded into memory")
}

fn decode(data: &[u8]) -> ImageResult<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(data)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    // Cameras turn the picture by a note in the file.
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn fit(image: DynamicImage, size: u32) -> DynamicImage {
    if image.width() <= size && image.height() <= size {
        return image;
    }
    image.thumbnail(size, size)
}

fn png(image: &DynamicImage) -> ImageResult<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner())
}

fn jpeg(image: &DynamicImage) -> ImageResult<Vec<u8>> {
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
    image.to_rgb8().write_with_encoder(encoder)?;
    Ok(file)
}

fn text(error: &ImageError) -> String {
    error.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use image::RgbaImage;

    use super::*;

    fn sides(data: &[u8]) -> (u32, u32) {
        let image = image::load_from_memory(data).unwrap();
        (image.width(), image.height())
    }

    #[test]
    fn proportions_are_kept_and_nothing_is_enlarged() {
        let wide = jpeg(&RgbImage::new(400, 100).into()).unwrap();
        let (small, kind) = shrink(&wide, 200).unwrap();
        assert_eq!((sides(&small), kind), ((200, 50), "image/jpeg"));
        assert_eq!(sides(&shrink(&wide, 1000).unwrap().0), (400, 100));
        assert_eq!(sides(&shrink(&wide, 1).unwrap().0), (1, 1));

        let clear = png(&RgbaImage::new(10, 20).into()).unwrap();
        let (small, kind) = shrink(&clear, 10).unwrap();
        assert_eq!((sides(&small), kind), ((5, 10), "image/png"));
        assert_eq!(sides(&shrink_to_jpeg(&clear, 10).unwrap()), (5, 10));
    }

    #[test]
    fn what_is_no_image_or_too_large_is_refused() {
        let mut cut = jpeg(&RgbImage::new(400, 100).into()).unwrap();
        cut.truncate(100);
        let mut huge = png(&RgbImage::new(2, 2).into()).unwrap();
        // Width and height in the header of the file; its checksum is then wrong as well.
        huge[16..24].fill(0x7f);
        for bad in [&b"text"[..], &[], &cut, &huge] {
            assert!(shrink(bad, 10).is_err());
        }
        assert!(!is_image(b"GIF89a") && !is_image(b"") && is_image(&placeholder()));
        assert_eq!(sides(&placeholder()), (300, 300));
    }
}
