// Texts whose contrast with what is behind them is under WCAG's AA (4.5, or 3 for large text), as "ratio: text".
() => {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = (top, under) => under.map((value, i) => top.rgb[i] * top.a + value * (1 - top.a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const known = new Map([[null, { ground: [255, 255, 255], opacity: 1 }]]);
  const look = (element) => {
    if (!known.has(element)) {
      const style = getComputedStyle(element);
      const parent = look(element.parentElement);
      const ground = over(parse(style.backgroundColor), parent.ground);
      known.set(element, { ground, opacity: parent.opacity * Number(style.opacity) });
    }
    return known.get(element);
  };
  const bad = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility({ visibilityProperty: true }) || !element.getClientRects().length) continue;
    const { ground, opacity } = look(element);
    if (opacity < 0.1) continue;
    const style = getComputedStyle(element);
    const color = parse(style.color);
    const front = over({ rgb: color.rgb, a: color.a * opacity }, ground);
    const [dark, light] = [luminance(front), luminance(ground)].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.add(`${ratio.toFixed(2)}: ${text.slice(0, 40)} (${element.className || element.tagName})`);
  }
  return [...bad];
};
