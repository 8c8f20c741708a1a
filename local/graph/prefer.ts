/** What a request asks for in its Prefer header (RFC 7240), as far as Outlook's part of Graph knows it. */
export interface Preferences {
  readonly immutableIds: boolean;
  /** Items a page; absent: the server's default. */
  readonly maxPageSize?: number;
  readonly bodyType?: 'text' | 'html';
  /** For the answer's Preference-Applied. */
  readonly applied: readonly string[];
}

const knownNames = new Set([
  'idtype',
  'odata.maxpagesize',
  'outlook.body-content-type',
  'outlook.allow-unsafe-html',
  'outlook.timezone',
]);
/** The most items that a page of messages holds (list messages, `$top`). */
const maxPage = 1000;

/** Reads the header; what is unknown or out of range is not applied, as RFC 7240 section 2 has it. */
export function readPrefer(header: string | string[] | undefined): Preferences {
  let immutableIds = false;
  let maxPageSize: number | undefined;
  let bodyType: 'text' | 'html' | undefined;
  const applied: string[] = [];
  for (const [name, value] of preferences(header)) {
    if (name === 'idtype' && value === 'ImmutableId') {
      immutableIds = true;
      applied.push('IdType="ImmutableId"');
    } else if (name === 'odata.maxpagesize' && isPageSize(value)) {
      maxPageSize = Math.min(Number(value), maxPage);
      applied.push(`odata.maxpagesize=${maxPageSize}`);
    } else if (name === 'outlook.body-content-type' && (value === 'text' || value === 'html')) {
      bodyType = value;
      applied.push(`outlook.body-content-type="${value}"`);
    }
  }
  return {
    immutableIds,
    ...(maxPageSize === undefined ? {} : { maxPageSize }),
    ...(bodyType === undefined ? {} : { bodyType }),
    applied,
  };
}

/** A preference that is misspelt would be passed over in silence: the likeliest mistake of a client. */
export function preferProblems(header: string | string[] | undefined): readonly string[] {
  return preferences(header).flatMap(([name, value]) => {
    if (!knownNames.has(name)) return [`preference ${name.slice(0, 40)} is unknown`];
    if (name === 'idtype' && value !== 'ImmutableId') return ['preference IdType has an unknown value'];
    if (name === 'odata.maxpagesize' && !isPageSize(value)) return ['preference odata.maxpagesize is no number'];
    return [];
  });
}

function isPageSize(value: string): boolean {
  return /^[1-9]\d{0,8}$/.test(value);
}

function preferences(header: string | string[] | undefined): readonly (readonly [string, string])[] {
  return [header ?? []]
    .flat()
    .join(',')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', ...value] = part.split('=');
      const text = value.join('=').trim();
      return [name.trim().toLowerCase(), /^".*"$/.test(text) ? text.slice(1, -1) : text];
    });
}
