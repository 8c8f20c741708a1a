import { domainToASCII } from 'node:url';
import { parseMailbox } from '../../accounts/address.ts';
import type { Account } from '../../accounts/rules.ts';
import { Refusal } from '../../platform/refusal.ts';

/** Throws Refusal `conflict` where the account cannot send at all. */
export function requireSending(account: Account): void {
  if (!account.enabled) throw new Refusal('conflict', 'The account is disabled.');
  if (account.transport === undefined) throw new Refusal('conflict', 'The account has no transport: it cannot send.');
}

/** `*` stands for any run of characters. Two pointers, so that no pattern can make it slow. */
function matchesPattern(pattern: string, text: string): boolean {
  let star = -1;
  let mark = 0;
  let at = 0;
  for (let index = 0; index < text.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      mark = index;
    } else if (pattern[at] === text[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++mark;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(at));
}

function split(address: string): readonly [string, string] {
  const at = address.lastIndexOf('@');
  return [address.slice(0, at), address.slice(at + 1)];
}

/** Patterns are typed by people: an internationalised domain is written as addresses are here. */
function patternDomain(domain: string): string {
  const toAscii = (label: string) => (/^[\u0020-\u007e]*$/.test(label) ? label : domainToASCII(label));
  return domain.toLowerCase().split('.').map(toAscii).join('.');
}

/** Whether callers may send as `address`: the account's own, or one that `allowedFrom` names. Domains in any letter case. */
export function maySendAs(account: Account, address: string): boolean {
  if (address === parseMailbox(account.from).address) return true;
  const [local, domain] = split(address);
  return account.allowedFrom.some((pattern) => {
    const [localPattern, domainPattern] = split(pattern);
    return matchesPattern(localPattern, local) && matchesPattern(patternDomain(domainPattern), domain);
  });
}
