const MAX_READ = 128 * 1024;

const entities = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
  ['nbsp', ' '],
  ['#39', "'"],
  ['#64', '@'],
]);

/** The words of HTML, roughly: enough to look for addresses and phrases in. Linear in its length. */
export function textOfHtml(html: string): string {
  return html
    .slice(0, MAX_READ)
    .replace(/<(?:\/?(?:p|div|tr|td|th|table|li|ul|h[1-6]|pre)\b[^<>]{0,2000}|br\s{0,5}\/?)>/gi, '\n')
    .replace(/<[!/a-z][^<>]{0,4000}>/gi, ' ')
    .replace(/&([a-z]{2,4}|#\d{2});/gi, (whole, name: string) => entities.get(name.toLowerCase()) ?? whole);
}
