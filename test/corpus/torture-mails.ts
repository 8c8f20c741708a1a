import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { charsetMails } from './torture-charsets.ts';
import { bytesMail, largeMail, mail, type TortureMail } from './torture-mail.ts';

const imported = { outcome: 'imported' } as const;
const words = { ...imported, text: 'words' };

const mebibyte = 1024 * 1024;

function multipart(boundary: string, body: readonly string[], parameter = `boundary="${boundary}"`): string[] {
  return [`Content-Type: multipart/mixed; ${parameter}`, '', ...body];
}

function* encodingMails(): Generator<TortureMail> {
  const encodings: readonly (readonly [name: string, body: string])[] = [
    ['7bit', 'words'],
    ['8bit', 'words'],
    ['binary', 'words'],
    ['base64', 'd29yZHM='],
    ['BASE64', 'd29y ZHM='],
    ['quoted-printable', 'wor=\r\nds'],
    ['quoted- printable', 'w=6Frds'],
    ['Quoted-Printable (comment)', 'w=6Frds'],
    ['x-unknown', 'words'],
    ['', 'words'],
    ['"base64"', 'd29yZHM='],
  ];
  for (const [n, [name, body]] of encodings.entries()) {
    yield mail(`encoding-${n}`, [`Content-Transfer-Encoding: ${name}`, '', body], words);
  }
  for (const [n, body] of [
    'd29yZHM',
    'd29yZHM=====',
    'd2=9y',
    '====',
    'd29yZHM=\r\n-- \r\nfooter',
    '\u00e9',
  ].entries()) {
    yield mail(`base64-broken-${n}`, ['Content-Transfer-Encoding: base64', '', body], imported);
  }
  for (const [n, body] of ['=', '=\r\n', '=G0', '=0', 'a=\r\n=\r\n=\r\n', '= \t\r\nx', '=3D=3d'].entries()) {
    yield mail(`quoted-printable-broken-${n}`, ['Content-Transfer-Encoding: quoted-printable', '', body], imported);
  }
}

function* boundaryMails(): Generator<TortureMail> {
  const part = ['', 'words'];
  yield mail('boundary-plain', multipart('b', ['--b', ...part, '--b--']), words);
  yield mail('boundary-no-end', multipart('b', ['--b', ...part]), { ...words, defect: 'truncated' });
  yield mail('boundary-never', multipart('b', ['words']), { ...imported, defect: 'missing-boundary' });
  yield mail('boundary-no-parameter', multipart('b', ['--b', ...part, '--b--'], 'x=y'), imported);
  yield mail('boundary-empty', multipart('', ['--', ...part, '----']), imported);
  yield mail('boundary-spaces', multipart('a b c', ['--a b c', ...part, '--a b c--']), words);
  yield mail('boundary-longest', multipart('b'.repeat(70), [`--${'b'.repeat(70)}`, ...part]), words);
  yield mail('boundary-too-long', multipart('b'.repeat(5_000), [`--${'b'.repeat(5_000)}`, ...part]), imported);
  yield mail('boundary-signs', multipart("'()+_,-./:=?", ["--'()+_,-./:=?", ...part, "--'()+_,-./:=?--"]), words);
  yield mail('boundary-pattern', multipart('(a+)+$', ['--(a+)+$', ...part, '--(a+)+$--']), words);
  yield mail('boundary-trailing-blanks', multipart('b', ['--b  \t', ...part, '--b-- ']), words);
  yield mail('boundary-prefix', multipart('b', ['--b', '', 'words', '--bb', 'x', '--b--']), imported);
  yield mail('boundary-twice', multipart('b', ['--b', '--b', '--b', ...part, '--b--']), words);
  yield mail('boundary-only-end', multipart('b', ['--b--']), imported);
  yield mail('boundary-text-after', multipart('b', ['--b', ...part, '--b--', 'epilogue']), {
    ...words,
    attachments: 0,
  });
  yield mail(
    'boundary-not-unique',
    multipart('b', ['--b', ...multipart('b', ['--b', ...part, '--b--']), '--b--']),
    imported,
  );
  for (const [name, end] of [
    ['lf', '\n'],
    ['cr', '\r'],
    ['crcrlf', '\r\r\n'],
  ] as const) {
    const text = ['From: a@example.com', 'Subject: x', ...multipart('b', ['--b', ...part, '--b--'])].join(end);
    yield bytesMail(`line-ends-${name}`, text, words);
  }
}

function* nestedMails(): Generator<TortureMail> {
  for (const depth of [1, 2, 5, 10, 20, 49, 50, 51, 100, 500, 1_000, 5_000, 10_000]) {
    const open = Array.from({ length: depth }, (_, n) => [
      `Content-Type: multipart/mixed; boundary=b${n}`,
      '',
      `--b${n}`,
    ]);
    const lines = [...open.flat(), '', 'words'];
    yield mail(`nested-multiparts-${depth}`, lines, depth <= 50 ? words : { ...imported, defect: 'too-deep' });
  }
  for (const depth of [1, 10, 100, 1_000, 10_000]) {
    const lines = Array.from({ length: depth }, () => ['Content-Type: message/rfc822', '']).flat();
    yield mail(`nested-mails-${depth}`, [...lines, 'Subject: inner', '', 'words'], { ...imported, attachments: 1 });
  }
  const parts = (count: number) =>
    Array.from({ length: count }, (_, n) => ['--b', `Content-Disposition: attachment; filename=${n}.txt`, '', 'x']);
  for (const count of [1_000, 1_001, 3_000]) {
    yield mail(`parts-${count}`, multipart('b', [...parts(count).flat(), '--b--']), {
      ...imported,
      ...(count > 1_000 ? { defect: 'too-many-parts' } : { attachments: count }),
    });
  }
}

function* headerMails(): Generator<TortureMail> {
  const recipients = (count: number) => Array.from({ length: count }, (_, n) => `r${n}@example.org`).join(',\r\n ');
  for (const count of [1, 1_000, 1_001, 100_000]) {
    const expected = count > 1_000 ? { ...words, defect: 'too-many-addresses' } : words;
    yield mail(`recipients-${count}`, [`Cc: ${recipients(count)}`, '', 'words'], expected);
  }
  for (const size of [64, 256, 1_024]) {
    yield mail(`header-${size}k`, [`X-Long: ${'x'.repeat(size * 1024)}`, '', 'words'], words);
  }
  yield largeMail(
    'header-50m',
    { head: 'From: a@example.com\r\nSubject: ', piece: 'long ', bytes: 50 * mebibyte, tail: '\r\n\r\nwords' },
    { ...words, defect: 'header-too-large' },
  );
  yield mail('header-100000-fields', [...Array.from({ length: 100_000 }, (_, n) => `X-${n}: y`), '', 'words'], words);
  yield mail('header-same-field', [...Array.from({ length: 5_000 }, () => 'Subject: again'), '', 'words'], words);
  for (const [n, line] of [
    'no colon at all',
    ': no name',
    'Sub ject: x',
    ' folded',
    '\u00dcber: x',
    `${'n'.repeat(2_000)}: x`,
  ].entries()) {
    yield mail(`header-broken-${n}`, [line, '', 'words'], imported);
  }
  for (const [n, date] of [
    '',
    'x',
    '99 Foo 9999',
    'Thu, 01 Jan 0000 00:00:00 +0000',
    '(((((((',
    '1/2/3',
    '-1',
    '29 Feb 2025 25:61:61 +9999',
  ].entries()) {
    yield bytesMail(`date-${n}`, `From: a@example.com\r\nDate: ${date}\r\n\r\nwords`, words);
  }
  for (const [n, from] of [
    '',
    '<>',
    '<<<<a@b>',
    'a@b@c',
    '"',
    '"a\\',
    '(((',
    ',,,,',
    'a;b:c;',
    '=?utf-8?Q?',
    '@',
    '\u0000',
  ].entries()) {
    yield bytesMail(`from-${n}`, `From: ${from}\r\nSubject: x\r\n\r\nwords`, words);
  }
  for (const [n, word] of [
    '=?',
    '=?x?',
    '=?utf-8?B?',
    '=?utf-8?B?!!?=',
    '=?utf-8?X?a?=',
    '=??Q?a?=',
    '=?utf-8?Q?=F0=9F?= =?utf-8?Q?=98=80?=',
  ].entries()) {
    yield bytesMail(`encoded-word-${n}`, `From: a@example.com\r\nSubject: ${word}\r\n\r\nwords`, words);
  }
}

function* nameMails(): Generator<TortureMail> {
  const names = [
    'n'.repeat(4_000),
    `${'ü'.repeat(2_000)}.pdf`,
    '../../../../etc/passwd',
    '..\\..\\windows\\system32\\cmd.exe',
    '/etc/passwd',
    'C:\\autoexec.bat',
    'CON',
    'nul.txt',
    '.',
    '..',
    '...',
    ' ',
    'a\u202Efdp.exe',
    'a\u0000b.txt',
    'a/b/c.txt',
    'a%2Fb%00c.txt',
    '<script>alert(1)</script>.html',
    'a"; x="b.txt',
    '😀'.repeat(100),
    '\ufeff\u200b\u2028',
  ];
  for (const [n, name] of names.entries()) {
    const encoded = encodeURIComponent(name).replace(/['()*!]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
    const field = `Content-Disposition: attachment; filename*=utf-8''${encoded}`;
    yield mail(`file-name-${n}`, ['Content-Type: application/octet-stream', field, '', 'x'], {
      ...imported,
      attachments: 1,
    });
    const quoted = `Content-Disposition: attachment; filename="${name}"`;
    yield mail(`file-name-quoted-${n}`, ['Content-Type: application/octet-stream', quoted, '', 'x'], {
      ...imported,
      attachments: 1,
    });
  }
  const pieces = Array.from({ length: 500 }, (_, n) => `filename*${n}=part${n}`).join(';\r\n ');
  yield mail('file-name-continued', [`Content-Disposition: attachment; ${pieces}`, '', 'x'], {
    ...imported,
    attachments: 1,
  });
}

function* sizeMails(): Generator<TortureMail> {
  yield bytesMail('empty', '', { outcome: 'quarantined' });
  yield bytesMail('blank', ' \r\n\t\r\n', { outcome: 'quarantined' });
  yield bytesMail('one-byte', 'x', imported);
  yield bytesMail('nul-bytes', '\0'.repeat(100_000), imported);
  yield bytesMail('nul-in-header', 'From: a@ex\0ample.com\r\nSubj\0ect: x\r\nSubject: a\0b\r\n\r\nwo\0rds', {
    ...words,
    subject: 'ab',
    defect: 'nul-bytes',
  });
  yield bytesMail('only-header', 'From: a@example.com\r\nSubject: x', imported);
  yield bytesMail(
    'random-bytes',
    Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n * n * 31 + n * 7) % 256)),
    imported,
  );
  const head =
    'From: a@example.com\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n--b\r\nContent-Type: application/pdf\r\n\r\n';
  yield largeMail(
    'size-149m',
    { head, piece: `${'x'.repeat(76)}\r\n`, bytes: 149 * mebibyte, tail: '\r\n--b--\r\n' },
    { ...words, attachments: 1 },
  );
  yield largeMail(
    'size-text-20m',
    { head: 'From: a@example.com\r\n\r\n', piece: 'one line of text\r\n', bytes: 20 * mebibyte },
    imported,
  );
  yield largeMail(
    'size-one-line-20m',
    { head: 'From: a@example.com\r\n\r\n', piece: 'word ', bytes: 20 * mebibyte },
    imported,
  );
}

/** At least 300 mails that have broken mail readers, by kind. */
const kinds: Readonly<Record<string, () => Iterable<TortureMail>>> = {
  charsets: charsetMails,
  encodings: encodingMails,
  boundaries: boundaryMails,
  nesting: nestedMails,
  headers: headerMails,
  names: nameMails,
  sizes: sizeMails,
};

/** Writes the set as files, a folder for each kind, below a folder that is made; answers them by their paths in it. */
export async function writeTortureMails(folder: string): Promise<ReadonlyMap<string, TortureMail>> {
  const written = new Map<string, TortureMail>();
  for (const [kind, mails] of Object.entries(kinds)) {
    await mkdir(join(folder, kind), { recursive: true });
    for (const each of mails()) {
      const path = `${kind}/${each.name}.eml`;
      const file = await open(join(folder, path), 'w');
      try {
        await each.write(file);
      } finally {
        await file.close();
      }
      written.set(path, each);
    }
  }
  return written;
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    console.error('node test/corpus/torture-mails.ts FOLDER: writes the torture set as files, for npm run corpus.');
    process.exitCode = 1;
  } else {
    console.log(`${(await writeTortureMails(folder)).size} mails`);
  }
}
