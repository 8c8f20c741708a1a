import { badRequest } from './graph-error.ts';

/**
 * Throws for an Accept-Language that names no language: `*`, which fetch sends by itself, is answered with
 * "Invalid language specified" by parts of Graph (msgraph-sdk-javascript issue 999). None at all is allowed.
 */
export function checkLanguage(header: string | undefined): void {
  if (header === undefined) return;
  for (const part of header.split(',')) {
    const [tag = '', ...parameters] = part.split(';').map((one) => one.trim());
    const isQuality = (text: string) => /^q=(0(\.\d{1,3})?|1(\.0{1,3})?)$/i.test(text);
    if (!/^[a-z]{2,3}(-[a-z0-9]{1,8})*$/i.test(tag) || !parameters.every(isQuality)) {
      throw badRequest('Invalid language specified.');
    }
  }
}
