// Texts whose contrast with their background is below that of WCAG 2 AA: 4.5, or 3 for large text.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const parse = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = ([r, g, b, a], below) => [r, g, b].map((v, i) => v * a + below[i] * (1 - a));
const behind = (element) => {
  const below = element.parentElement ? behind(element.parentElement) : [255, 255, 255];
  return over(parse(getComputedStyle(element).backgroundColor), below);
};
const luminance = (color) => {
  const [r, g, b] = color.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const low = [];
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
  if (!text || !element.getClientRects().length || element.closest("title, script")) continue;
  const style = getComputedStyle(element);
  // The number of a heat map's cell is on a rectangle.
  const cell = element.closest(".cell")?.querySelector("rect");
  const ground = cell ? over(parse(getComputedStyle(cell).fill), behind(element)) : behind(element);
  const ink = over(parse(element.closest("svg") ? style.fill : style.color), ground);
  const [a, b] = [luminance(ink), luminance(ground)].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < (large ? 3 : 4.5)) low.push(`${ratio.toFixed(2)} ${element.tagName} ${text.slice(0, 40)}`);
}
return low;
