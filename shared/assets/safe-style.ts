/**
 * CSS that a mail may set in `style` attributes: what changes how its own text and tables look. Each value is one of a
 * closed form without parentheses, so that none can fetch, run or be built of pieces: no `url()`, `image-set()`,
 * `expression()`, `var()`, no escapes. Nothing positions, layers or animates.
 */
const color =
  /^(?:#[0-9a-f]{3,8}|[a-z]{3,30}|(?:rgb|hsl)a?\(\s?[\d.]{1,6}%?(?:[\s,/]{1,3}[\d.]{1,6}%?){2,3}\s?\))(?:\s?!important)?$/i;
const word = /^[a-z-]{1,30}(?:\s?!important)?$/i;
const lengths =
  /^(?:auto|normal|none|-?[\d.]{1,10}(?:px|em|rem|ex|pt|pc|cm|mm|in|vw|%)?)(?:\s(?:auto|-?[\d.]{1,10}(?:px|em|rem|ex|pt|pc|cm|mm|in|vw|%)?)){0,3}(?:\s?!important)?$/i;
const line = /^[#a-z0-9.% -]{1,100}(?:!important)?$/i;
const names = /^[\w\s,.'"-]{1,300}(?:!important)?$/;
const fontSize = /^(?:[a-z-]{3,20}|[\d.]{1,10}(?:px|em|rem|ex|pt|pc|cm|mm|in|vw|%)?)(?:\s?!important)?$/i;

const sides = ['', '-top', '-right', '-bottom', '-left'];
const entry = (name: string, form: RegExp): [string, RegExp[]] => [name, [form]];
const each = (before: string, after: string, form: RegExp) =>
  sides.map((side) => entry(`${before}${side}${after}`, form));

export const safeStyles: Readonly<Record<string, RegExp[]>> = Object.fromEntries<RegExp[]>([
  ...['color', 'background-color', 'background', 'text-decoration-color'].map((name) => entry(name, color)),
  ...[
    'border-collapse',
    'clear',
    'direction',
    'float',
    'font-style',
    'font-variant',
    'list-style-type',
    'overflow-wrap',
    'table-layout',
    'text-align',
    'text-decoration',
    'text-decoration-line',
    'text-transform',
    'unicode-bidi',
    'vertical-align',
    'visibility',
    'white-space',
    'word-break',
    'word-wrap',
  ].map((name) => entry(name, word)),
  ['display', [/^(?:none|block|inline|inline-block|list-item|table(?:-[a-z]{3,14}){0,2})(?:\s?!important)?$/i]],
  ['opacity', [/^[\d.]{1,6}$/]],
  ['font-weight', [/^(?:[a-z]{4,7}|[1-9]00)(?:\s?!important)?$/i]],
  ['font-size', [fontSize]],
  ['font-family', [names]],
  ['font', [/^[\w\s,.'"%/-]{1,300}$/]],
  ['mso-hide', [word]],
  ...[
    'border-spacing',
    'height',
    'letter-spacing',
    'line-height',
    'max-height',
    'max-width',
    'min-height',
    'min-width',
    'text-indent',
    'width',
    'border-radius',
  ].map((name) => entry(name, lengths)),
  ...each('margin', '', lengths),
  ...each('padding', '', lengths),
  ...each('border', '', line),
  ...each('border', '-color', color),
  ...each('border', '-style', line),
  ...each('border', '-width', lengths),
]);
