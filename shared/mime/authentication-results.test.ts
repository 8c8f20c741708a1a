import { describe, expect, test } from 'vitest';
import { readAuthenticationResults } from './authentication-results.ts';
import { collect, lines } from './collect.test-support.ts';

/** In short: `dkim=pass header.d=example.org`, with the reason in brackets. */
function short(field: string): string[] {
  const { authservId, results } = readAuthenticationResults(field);
  return [
    authservId ?? '-',
    ...results.map(({ method, result, reason, properties }) =>
      [
        `${method}=${result}${reason === undefined ? '' : ` [${reason}]`}`,
        ...properties.map(({ ptype, property, value }) => `${ptype ?? '-'}.${property}=${value}`),
      ].join(' '),
    ),
  ];
}

describe('the examples of RFC 8601, appendix B', () => {
  test.each<[string, string[]]>([
    ['example.org 1; none', ['example.org']],
    ['example.com; spf=pass smtp.mailfrom=example.net', ['example.com', 'spf=pass smtp.mailfrom=example.net']],
    [
      'example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net',
      ['example.com', 'auth=pass smtp.auth=sender@example.net', 'spf=pass smtp.mailfrom=example.net'],
    ],
    ['example.com; iprev=pass policy.iprev=192.0.2.200', ['example.com', 'iprev=pass policy.iprev=192.0.2.200']],
    [
      'example.com; dkim=fail reason="bad signature" header.i=@mail-router.example.net; dkim=pass (good signature) header.i=@newyork.example.com',
      [
        'example.com',
        'dkim=fail [bad signature] header.i=@mail-router.example.net',
        'dkim=pass header.i=@newyork.example.com',
      ],
    ],
    [
      "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462",
      ['foo.example.net', 'dkim=fail policy.expired=1362471462'],
    ],
  ])('%s', (field, expected) => {
    expect(short(field)).toEqual(expected);
  });
});

describe('what servers write', () => {
  test.each<[string, string, string[]]>([
    [
      'Gmail',
      'mx.google.com; dkim=pass header.i=@example.org header.s=20230601 header.b=Zx3k+a/=; spf=pass (google.com: domain of ann@example.org designates 192.0.2.1 as permitted sender) smtp.mailfrom=ann@example.org; dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=example.org',
      [
        'mx.google.com',
        'dkim=pass header.i=@example.org header.s=20230601 header.b=Zx3k+a/=',
        'spf=pass smtp.mailfrom=ann@example.org',
        'dmarc=pass header.from=example.org',
      ],
    ],
    [
      'Exchange Online, without an authserv-id',
      'spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.org; dkim=pass (signature was verified) header.d=example.org;dmarc=pass action=none header.from=example.org;compauth=pass reason=100',
      [
        '-',
        'spf=pass smtp.mailfrom=example.org',
        'dkim=pass header.d=example.org',
        'dmarc=pass -.action=none header.from=example.org',
        'compauth=pass [100]',
      ],
    ],
    [
      'OpenDKIM',
      'mail.example.com;\tdkim=pass (2048-bit key; unprotected) header.d=example.org header.i=@example.org header.a=rsa-sha256 header.s=s1 header.b="a+b/c=d";\tdkim-atps=neutral',
      [
        'mail.example.com',
        'dkim=pass header.d=example.org header.i=@example.org header.a=rsa-sha256 header.s=s1 header.b=a+b/c=d',
        'dkim-atps=neutral',
      ],
    ],
    [
      'Yahoo',
      'atlas-production.v2-mail-prod1-gq1.omega.yahoo.com from=example.org; domainkeys=neutral (no sig); dkim=unknown',
      ['atlas-production.v2-mail-prod1-gq1.omega.yahoo.com', 'domainkeys=neutral', 'dkim=unknown'],
    ],
    [
      'Fastmail',
      'mx5.messagingengine.com; x-csa=none; x-me-sender=none; x-ptr=pass smtp.helo=mail.example.org policy.ptr=mail.example.org; spf=pass smtp.mailfrom="\\"odd \\\\ one\\"@example.org" smtp.helo=mail.example.org',
      [
        'mx5.messagingengine.com',
        'x-csa=none',
        'x-me-sender=none',
        'x-ptr=pass smtp.helo=mail.example.org policy.ptr=mail.example.org',
        'spf=pass smtp.mailfrom="odd \\ one"@example.org smtp.helo=mail.example.org',
      ],
    ],
    [
      'upper case',
      'MX.Example.com; DKIM=Pass Header.D=Example.org',
      ['MX.Example.com', 'dkim=pass header.d=Example.org'],
    ],
    [
      'a local part in quotes',
      'mx; spf=pass smtp.mailfrom="a;b"@example.org',
      ['mx', 'spf=pass smtp.mailfrom=a;b@example.org'],
    ],
    ['a comment that says pass', 'mx (spf=pass; dkim=pass); spf=fail ("\\)" ; dmarc=pass', ['mx', 'spf=fail']],
    ['nothing', '', ['-']],
    ['signs alone', ';;=;(="', ['-']],
  ])('%s', (_, field, expected) => {
    expect(short(field)).toEqual(expected);
  });

  test.each(['(', '"', '\\', ';', '=', 'a=b ', 'a=b;', '((', '")', '=;'])(
    '64 KiB of %s cost no more than they should',
    (piece) => {
      const { results } = readAuthenticationResults(`mx; ${piece.repeat(65_536 / piece.length)}`);
      expect(results.length).toBeLessThanOrEqual(50);
    },
  );
});

describe('of the receiving server alone', () => {
  const head = ['From: ann@example.org', 'Subject: x', 'Message-ID: <1@x>', 'Date: Thu, 01 Jan 2026 10:00:00 +0000'];
  const servers = async (...fields: string[]) => {
    const { mail } = await collect(lines(...fields, ...head, '', 'x'));
    return mail.authenticationResults.map(({ authservId, results }) => [
      authservId,
      ...results.map(({ method, result }) => `${method}=${result}`),
    ]);
  };

  test('the topmost, folded as it came', async () => {
    expect(
      await servers(
        'Authentication-Results: mx.example;\r\n\tspf=pass\r\n smtp.mailfrom=a@b;\r\n dkim=pass',
        'Received: by mx.example',
      ),
    ).toEqual([['mx.example', 'spf=pass', 'dkim=pass']]);
  });

  test('all that the same server wrote at the same hop', async () => {
    expect(
      await servers(
        'Received: from mx.example by store.example',
        'Authentication-Results: mx.example; dmarc=pass',
        'Authentication-Results: MX.example; dkim=pass',
        'Received-SPF: pass',
        'Authentication-Results: mx.example; spf=pass',
        'Received: from evil by mx.example',
      ),
    ).toEqual([
      ['mx.example', 'dmarc=pass'],
      ['MX.example', 'dkim=pass'],
      ['mx.example', 'spf=pass'],
    ]);
  });

  test('none of another server, or of one before it, whatever it calls itself', async () => {
    expect(
      await servers(
        'Authentication-Results: mx.example; dkim=fail',
        'Authentication-Results: other.example; dkim=pass',
        'Authentication-Results: mx.example; dmarc=pass',
        'Received: from evil by mx.example',
        'Authentication-Results: mx.example; dkim=pass',
      ),
    ).toEqual([['mx.example', 'dkim=fail']]);
  });

  test('none of a chain that nobody has checked', async () => {
    expect(
      await servers(
        'ARC-Seal: i=1; cv=none',
        'ARC-Authentication-Results: i=1; mx.example; dkim=pass',
        'X-Authentication-Results: mx.example; dkim=pass',
      ),
    ).toEqual([]);
  });
});
