import { Libmime } from 'libmime';
import { decodeWords } from './encoded-words.ts';
import { cleanLine, type HeaderBlock } from './header-block.ts';
import type { Defects } from './mail.ts';

/** What the header of a part says about it; all names in lower case. */
export interface PartHeader {
  /** `type/subtype`. */
  readonly contentType: string;
  readonly charset: string | undefined;
  readonly boundary: string | undefined;
  readonly smimeType: string | undefined;
  readonly reportType: string | undefined;
  readonly encoding: string;
  readonly disposition: string | undefined;
  readonly filename: string | undefined;
  readonly contentId: string | undefined;
}

/** A boundary is at most 70 characters (RFC 2046 section 5.1.1); more are taken while they fit a line. */
const MAX_BOUNDARY = 900;

/** Characters kept of a file name. */
const MAX_FILENAME = 4_096;

const libmime = new Libmime();

const tokenPair = /^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+$/;

interface Structured {
  readonly value: string;
  /** A parameter with its encoded words decoded, which RFC 2047 forbids there and mail clients write. */
  readonly param: (name: string) => string | undefined;
  /** A parameter as it stands: a boundary may look like an encoded word. */
  readonly plainParam: (name: string) => string | undefined;
}

function parseStructured(text: string | undefined, defects: Defects): Structured {
  if (text === undefined) return { value: '', param: () => undefined, plainParam: () => undefined };
  const parsed = libmime.parseHeaderValue(text, { stripComments: true });
  const plainParam = (name: string) => (Object.hasOwn(parsed.params, name) && parsed.params[name]) || undefined;
  return {
    value: parsed.value.trim().toLowerCase(),
    plainParam,
    param: (name) => {
      const value = plainParam(name);
      if (value === undefined) return undefined;
      // What RFC 2231 encoded is decoded by now, and must not be decoded twice.
      const decoded = parsed.decodedParams.includes(name) ? value : decodeWords(value, defects);
      return cleanLine(decoded) || undefined;
    },
  };
}

/**
 * Reads the MIME fields of a part. `defaultType` is what a part without Content-Type is here: text/plain, or
 * message/rfc822 in a multipart/digest (RFC 2046 section 5.1.5).
 */
export function readPartHeader(block: HeaderBlock, defaultType: string, defects: Defects): PartHeader {
  const type = parseStructured(block.first('content-type'), defects);
  const disposition = parseStructured(block.first('content-disposition'), defects);
  const valid = tokenPair.test(type.value);
  if (type.value !== '' && !valid) defects.add('invalid-content-type');
  const filename = disposition.param('filename') ?? type.param('name') ?? locationName(block.first('content-location'));
  const boundary = type.plainParam('boundary')?.trimEnd();
  return {
    contentType: valid ? type.value : lenientType(type.value, disposition.value, filename, defaultType),
    charset: type.param('charset'),
    boundary: boundary !== undefined && boundary !== '' && boundary.length <= MAX_BOUNDARY ? boundary : undefined,
    smimeType: type.param('smime-type')?.toLowerCase(),
    reportType: type.param('report-type')?.toLowerCase(),
    encoding: encodingName(block.first('content-transfer-encoding')),
    disposition: dispositionName(disposition.value),
    filename: filename?.slice(0, MAX_FILENAME),
    contentId: contentId(block.first('content-id')),
  };
}

/** RFC 2045 section 5.2: what cannot be read is plain text; but a file is a file, of unknown type. */
function lenientType(given: string, disposition: string, filename: string | undefined, defaultType: string): string {
  // `Content-Type: multipart/mixed boundary=…` and `text/plain charset=…`, where the semicolon was forgotten.
  const start = /^[a-z]+\/[a-z0-9.+-]+(?=[\s,])/.exec(given);
  if (start) return start[0];
  if (disposition === 'attachment') return 'application/octet-stream';
  if (filename !== undefined && given === '') return libmimeType(filename);
  if (given === 'html') return 'text/html';
  return given === '' ? defaultType : 'text/plain';
}

function libmimeType(filename: string): string {
  const type = libmime.detectMimeType(filename);
  return tokenPair.test(type) && !type.startsWith('multipart/') ? type : 'application/octet-stream';
}

function encodingName(text: string | undefined): string {
  // `quoted- printable` is seen as well.
  const token = /^["']*([^;"'(]+)/.exec((text ?? '').replace(/\s+/g, ''))?.[1] ?? '';
  return token.toLowerCase();
}

/** RFC 2183 section 2.8: what is neither `inline` nor known counts as an attachment. */
function dispositionName(value: string): string | undefined {
  if (value === '') return undefined;
  return value === 'inline' ? 'inline' : 'attachment';
}

function contentId(text: string | undefined): string | undefined {
  const id = text?.replace(/^<|>$/g, '').trim();
  return id === undefined || id === '' ? undefined : id.slice(0, 998);
}

/** The last part of a Content-Location (RFC 2557), where it looks like the name of a file. */
function locationName(text: string | undefined): string | undefined {
  const last = text
    ?.replace(/[?#].*$/s, '')
    .split('/')
    .at(-1)
    ?.trim();
  if (last === undefined || !/^[^\s:"<>|]{1,200}\.[A-Za-z0-9]{1,8}$/.test(last)) return undefined;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
