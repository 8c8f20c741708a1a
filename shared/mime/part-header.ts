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
  /** As declared. */
  readonly filename: string | undefined;
  /** The last part of a Content-Location, where it looks like the name of a file. */
  readonly location: string | undefined;
  readonly contentId: string | undefined;
  /** As it came; no part has one, unless it should have been a message. */
  readonly messageId: string | undefined;
  /** Of a multipart/related: the Content-ID of its root, without angle brackets. */
  readonly start: string | undefined;
  /** `format` and `delsp` of a text (RFC 3676). */
  readonly flowed: boolean | undefined;
  readonly delsp: boolean | undefined;
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
  const type = parseStructured(withoutPaths(block.first('content-type')), defects);
  const disposition = parseStructured(withoutPaths(block.first('content-disposition')), defects);
  const valid = tokenPair.test(type.value);
  if (type.value !== '' && !valid) defects.add('invalid-content-type');
  const filename = fileName(disposition.param('filename') ?? type.param('name'));
  const boundary = type.plainParam('boundary')?.trimEnd();
  return {
    contentType: valid ? type.value : lenientType(type.value, disposition.value, filename, defaultType),
    charset: type.param('charset'),
    boundary: boundary !== undefined && boundary !== '' && boundary.length <= MAX_BOUNDARY ? boundary : undefined,
    smimeType: type.param('smime-type')?.toLowerCase(),
    reportType: type.param('report-type')?.toLowerCase(),
    encoding: encodingName(block.first('content-transfer-encoding')),
    disposition: dispositionName(disposition.value, defects),
    filename,
    location: locationName(block.first('content-location')),
    contentId: contentId(block.first('content-id')),
    messageId: block.first('message-id'),
    start: contentId(type.plainParam('start')),
    flowed: type.param('format')?.toLowerCase() === 'flowed' || undefined,
    delsp: type.param('delsp')?.toLowerCase() === 'yes' || undefined,
  };
}

/** A Windows path in a parameter, quoted or not: its backslashes quote nothing (old mail programs send it). */
const quotedPath = /(name\s{0,9}=\s{0,9}")((?:[a-z]:[\\/]|\\\\)[^"]{0,4000})"/gi;
const barePath = /(name\s{0,9}=\s{0,9})((?:[a-z]:[\\/]|\\\\)[^";]{0,4000})/gi;

function withoutPaths(text: string | undefined): string | undefined {
  if (text === undefined || !/[\\/]/.test(text)) return text;
  return text
    .replace(quotedPath, (_whole, before: string, path: string) => `${before}${lastSegment(path)}"`)
    .replace(barePath, (_whole, before: string, path: string) => `${before}${lastSegment(path)}`);
}

/** The name without the path of the sender's Windows machine, `C:\…` or `\\server\…`. */
function fileName(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const bare = /^(?:[a-z]:[\\/]|\\\\)/i.test(name) ? lastSegment(name) : name;
  return bare.slice(0, MAX_FILENAME) || undefined;
}

function lastSegment(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1);
}

/** RFC 2045 section 5.2: what cannot be read is plain text; but a file is a file, of unknown type. */
function lenientType(given: string, disposition: string, filename: string | undefined, defaultType: string): string {
  // `Content-Type: multipart/mixed boundary=…` and `text/plain charset=…`, where the semicolon was forgotten.
  const start = /^[a-z]+\/[a-z0-9.+-]+(?=[\s,])/.exec(given);
  if (start) return start[0];
  if (given === 'html') return 'text/html';
  if (/^(?:text|plain|txt)$/.test(given)) return 'text/plain';
  if (filename !== undefined) return typeByName(filename, given);
  if (disposition === 'attachment') return 'application/octet-stream';
  // `application` alone, or `image/`: whatever it is, it is no text.
  if (/^(?:application|image|audio|video|font|model)(?![a-z])/.test(given)) return 'application/octet-stream';
  return given === '' ? defaultType : 'text/plain';
}

/** Where what was given is not a type, the file counts as no text, whatever its name. */
function typeByName(filename: string, given: string): string {
  const type = typeOfFile(filename);
  return given !== '' && type.startsWith('text/') ? 'application/octet-stream' : type;
}

/** The type that a file of that name is likely to have. */
export function typeOfFile(filename: string): string {
  const type = libmime.detectMimeType(filename);
  return tokenPair.test(type) && !type.startsWith('multipart/') ? type : 'application/octet-stream';
}

function encodingName(text: string | undefined): string {
  // `quoted- printable` is seen as well.
  const token = /^["']*([^;"'(]+)/.exec((text ?? '').replace(/\s+/g, ''))?.[1] ?? '';
  return token.toLowerCase();
}

/**
 * RFC 2183 section 2.8: a disposition that is not known counts as `attachment`. A value that is no token says nothing;
 * behind one a semicolon may have been forgotten.
 */
function dispositionName(value: string, defects: Defects): string | undefined {
  const token = /^[!#$%&'*+.^_`|~0-9a-z-]+(?![^\s,])/.exec(value)?.[0];
  if (value !== '' && value !== token) defects.add('malformed-header');
  if (token === undefined) return undefined;
  return token === 'inline' ? 'inline' : 'attachment';
}

function contentId(text: string | undefined): string | undefined {
  const id = text?.replace(/^<|>$/g, '').trim();
  return id === undefined || id === '' ? undefined : id.slice(0, 998);
}

/** Header of a part that has none of its own: text in front of a delimiter, or what follows the last part taken. */
export function madeUpHeader(contentType: string, encoding: string): PartHeader {
  return {
    contentType,
    charset: undefined,
    boundary: undefined,
    smimeType: undefined,
    reportType: undefined,
    encoding,
    disposition: undefined,
    filename: undefined,
    location: undefined,
    contentId: undefined,
    messageId: undefined,
    start: undefined,
    flowed: undefined,
    delsp: undefined,
  };
}

/** The last part of a Content-Location (RFC 2557), where it looks like the name of a file. */
function locationName(text: string | undefined): string | undefined {
  const last = text
    ?.replace(/[?#][\s\S]*/, '')
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
