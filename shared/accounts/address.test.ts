import { describe, expect, it } from 'vitest';
import { AddressError, normaliseAddress, parseMailbox, parseMailboxes, toMailbox } from './address.ts';

describe('parseMailboxes', () => {
  it.each([
    ['a@b.example', [['', 'a@b.example']]],
    ['Ann <a@b.example>', [['Ann', 'a@b.example']]],
    ['<a@b.example>', [['', 'a@b.example']]],
    [
      '"Müller, Hans" <h@b.example>, x@y.example',
      [
        ['Müller, Hans', 'h@b.example'],
        ['', 'x@y.example'],
      ],
    ],
    ['John Q. Public <j@b.example>', [['John Q. Public', 'j@b.example']]],
    ["Pat O'Brien <p@b.example>", [["Pat O'Brien", 'p@b.example']]],
    ['a@b.example (Ann (really))', [['', 'a@b.example']]],
    ['Ann (x) <a@b.example>', [['Ann', 'a@b.example']]],
    ['"say \\"hi\\"" <a@b.example>', [['say "hi"', 'a@b.example']]],
    ['undisclosed-recipients:;', []],
    [
      'Team: a@b.example, Bob <b@b.example>; , c@b.example',
      [
        ['', 'a@b.example'],
        ['Bob', 'b@b.example'],
        ['', 'c@b.example'],
      ],
    ],
    ['A@EXAMPLE.com', [['', 'A@example.com']]],
    ['a@bücher.example', [['', 'a@xn--bcher-kva.example']]],
    ['grüße@b.example', [['', 'grüße@b.example']]],
    ['"john doe"@b.example', [['', '"john doe"@b.example']]],
    ['"john"@b.example', [['', 'john@b.example']]],
    ['"a@b"@c.example', [['', '"a@b"@c.example']]],
    ['a@[192.0.2.1]', [['', 'a@[192.0.2.1]']]],
    ['a@[IPv6:2001:db8::1]', [['', 'a@[IPv6:2001:db8::1]']]],
    ['root@localhost', [['', 'root@localhost']]],
  ] as const)('reads %s', (text, expected) => {
    expect(parseMailboxes(text)).toEqual(expected.map(([name, address]) => ({ name, address })));
  });

  it.each([
    '',
    ' ',
    'a',
    'a@',
    '@b.example',
    'a@b@c.example',
    'a b@c.example',
    'a..b@c.example',
    '.a@c.example',
    'a.@c.example',
    'Müller, Hans <h@b.example>',
    'Ann <a@b.example',
    'Ann a@b.example>',
    'Ann <a@b.example> x',
    'a@b.example,',
    ',a@b.example',
    'a@b.example;c@d.example',
    '"open <a@b.example>',
    'Ann (open <a@b.example>',
    'Team: a@b.example',
    'Team: Sub: a@b.example;;',
    'a@-b.example',
    'a@b_c.example',
    'a@b..example',
    'a@b.example.',
    'a@1.2.3',
    'a@１.２.３.４',
    'a@ex%61mple.com',
    'a@[999.1.1.1]',
    'a@[x]',
    `${'l'.repeat(65)}@b.example`,
    `a@${'d'.repeat(64)}.example`,
    `a@${'d.'.repeat(130)}example`,
    'a@b.example\r\nBcc: x@y.example',
    'Ann\r\nBcc: x <a@b.example>',
    'Ann\u0000 <a@b.example>',
    'Ann\u2028 <a@b.example>',
    'a\ud800@b.example',
    `${'n'.repeat(257)} <a@b.example>`,
  ])('refuses %j', (text) => {
    expect(() => parseMailboxes(text)).toThrow(AddressError);
  });

  it('reads hostile text in linear time', () => {
    const start = performance.now();
    for (const part of ['(', '"', '\\"', '<', 'a@', ' ', '.', 'a ', ':', '()', '""'])
      expect(() => parseMailboxes(part.repeat(60_000))).toThrow(AddressError);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('does not repeat the text in its message', () => {
    expect(() => parseMailboxes('hunter2')).toThrow(/^(?!.*hunter2)/);
  });
});

describe('single addresses', () => {
  it('take exactly one', () => {
    expect(parseMailbox('Ann <a@b.example>')).toEqual({ name: 'Ann', address: 'a@b.example' });
    expect(() => parseMailbox('a@b.example, c@d.example')).toThrow(AddressError);
    expect(() => parseMailbox('x:;')).toThrow(AddressError);
  });

  it('take bare addresses and names of any kind', () => {
    expect(normaliseAddress('a@B.example')).toBe('a@b.example');
    expect(normaliseAddress('a@[IPv6:::1]')).toBe('a@[IPv6:::1]');
    for (const text of ['Ann <a@b.example>', '<a@b.example>', 'a@b.example, c@d.example', 'a@b.example\n', ''])
      expect(() => normaliseAddress(text)).toThrow(AddressError);
    expect(toMailbox('Müller, "Hans" <x@y>', 'a@b.example').name).toBe('Müller, "Hans" <x@y>');
    expect(() => toMailbox('a\r\nBcc: x', 'a@b.example')).toThrow(AddressError);
  });
});
