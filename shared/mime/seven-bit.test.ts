import { Readable } from 'node:stream';
import libqp from 'libqp';
import { describe, expect, it } from 'vitest';
import { quotedPrintableLine } from './quoted-printable-line.ts';
import { sevenBitForm } from './seven-bit.ts';

/** In pieces of every length, since lines may be cut anywhere. */
const source = (text: string | Buffer, size: number) => {
  const octets = Buffer.from(text);
  const pieces = Array.from({ length: Math.ceil(octets.length / size) }, (_, n) =>
    octets.subarray(n * size, (n + 1) * size),
  );
  return Readable.from(pieces, { objectMode: true });
};

async function converted(text: string | Buffer): Promise<string> {
  let first: string | undefined;
  for (const size of [1, 7, 100_000]) {
    const form = await sevenBitForm(async () => source(text, size));
    if ('problem' in form) return form.problem;
    const chunks: Buffer[] = [];
    for await (const chunk of form.text(source(text, size))) chunks.push(chunk);
    const out = Buffer.concat(chunks);
    expect(out.length).toBe(form.size);
    expect(out.every((octet) => octet < 128)).toBe(true);
    first ??= out.toString('latin1');
    expect(out.toString('latin1')).toBe(first);
  }
  return first ?? '';
}

const lines = (...all: readonly string[]) => `${all.join('\r\n')}\r\n`;

describe('a line in quoted-printable', () => {
  it('decodes to what it was, and is never too long', () => {
    const all = Buffer.from(
      Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => octet !== 10 && octet !== 13),
    );
    for (const line of [
      all,
      Buffer.from('Grüße '.repeat(40)),
      Buffer.from('a'.repeat(998)),
      Buffer.from('ends with a blank '),
      Buffer.from('=20'),
    ]) {
      const encoded = quotedPrintableLine(Buffer.concat([line, Buffer.from('\r\n')])).toString('latin1');
      expect(encoded.endsWith('\r\n')).toBe(true);
      for (const each of encoded.split('\r\n')) expect(each.length).toBeLessThanOrEqual(76);
      expect(libqp.decode(encoded.slice(0, -2)).equals(line)).toBe(true);
    }
  });
});

describe('a mail in seven bits', () => {
  it('leaves one alone that is', async () => {
    const mail = lines('Subject: s', 'Content-Type: text/plain', '', 'Text = text', '--none', '');
    expect(await converted(mail)).toBe(mail);
  });

  it('encodes the text of one part', async () => {
    const mail = lines(
      'Subject: s',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: 8bit',
      '',
      'Grüße = gut',
      '.',
    );
    expect(await converted(mail)).toBe(
      lines(
        'Subject: s',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        'Gr=C3=BC=C3=9Fe =3D gut',
        '.',
      ),
    );
  });

  it('encodes of several parts only those that need it, in mails within mails as well', async () => {
    const inner = ['Subject: inner', 'Content-Type: text/plain; charset=utf-8', '', 'Zürich'];
    const mail = lines(
      'Content-Type: multipart/mixed;',
      ' boundary="outer"',
      'Content-Transfer-Encoding: 8bit',
      '',
      'préamble',
      '--outer',
      '',
      'plain',
      '--outer',
      'Content-Type: image/png',
      'Content-Transfer-Encoding: base64',
      '',
      'AAAA',
      '--outer',
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: 8bit',
      '',
      ...inner,
      '--outer--',
    );
    expect(await converted(mail)).toBe(
      lines(
        'Content-Type: multipart/mixed;',
        ' boundary="outer"',
        'Content-Transfer-Encoding: 7bit',
        '',
        'pr??amble',
        '--outer',
        '',
        'plain',
        '--outer',
        'Content-Type: image/png',
        'Content-Transfer-Encoding: base64',
        '',
        'AAAA',
        '--outer',
        'Content-Type: message/rfc822',
        'Content-Transfer-Encoding: 7bit',
        '',
        'Subject: inner',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        'Z=C3=BCrich',
        '--outer--',
      ),
    );
  });

  it.each([
    ['signed', lines('DKIM-Signature: v=1', '', 'Grüße')],
    ['signed', lines('Content-Type: multipart/signed; boundary=b', '', '--b', '', 'Grüße', '--b--')],
    ['headers', lines('Subject: Grüße', '', 'x')],
    ['structure', lines('Content-Type: multipart/mixed', '', 'Grüße')],
    ['structure', lines('Content-Type: message/delivery-status', '', 'Grüße')],
    ['structure', lines('Content-Transfer-Encoding: base64', '', 'Grüße')],
  ])('says why it cannot be: %s', async (problem, mail) => {
    expect(await converted(mail)).toBe(problem);
  });
});
