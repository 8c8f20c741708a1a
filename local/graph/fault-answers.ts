import type { Fault } from './faults.ts';
import { GraphRefusal } from './graph-error.ts';
import type { Reply } from './reply.ts';

/** What a request gets before any work was done: an answer, or an end without one. */
export type EarlyEnd = { readonly reply: Reply } | { readonly end: 'reset' | 'silent' };

/** What goes wrong with the answer of a request that was carried out. */
export interface AnswerFaults {
  readonly end?: 'reset' | 'silent';
  readonly gatewayTimeout?: boolean;
  readonly bytesPerSecond?: number;
  readonly cutAfter?: number;
}

/** The first of the faults that ends a request early. Throws a refusal for those that are one. */
export function earlyEnd(faults: readonly Fault[], restart: () => string, now: number): EarlyEnd | undefined {
  for (const fault of faults) {
    switch (fault.kind) {
      case 'gone':
        throw new GraphRefusal(
          fault.status ?? 410,
          fault.code,
          'The sync state is gone.',
          fault.location ? { location: restart() } : {},
        );
      case 'throttled':
        throw new GraphRefusal(
          429,
          'ApplicationThrottled',
          'Application is over its MailboxConcurrency limit.',
          retryAfter(fault.retryAfter, fault.as ?? 'seconds', now),
        );
      case 'unavailable':
        throw new GraphRefusal(
          503,
          'ServiceUnavailable',
          'The service is unavailable.',
          retryAfter(fault.retryAfter, 'seconds', now),
        );
      case 'gatewayTimeout':
        if (!fault.done) throw gatewayTimeout();
        break;
      case 'reset':
      case 'silent':
        if (!fault.done) return { end: fault.kind };
        break;
      case 'badGateway':
        return { reply: { status: 502, mediaType: 'text/html', pieces: [Buffer.from(badGatewayPage)] } };
      case 'expiredToken':
        throw new GraphRefusal(401, 'InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.', {
          'www-authenticate': 'Bearer realm=""',
        });
      case 'refused':
        throw new GraphRefusal(
          fault.status,
          fault.code,
          'The request was refused.',
          retryAfter(fault.retryAfter, 'seconds', now),
        );
      default:
    }
  }
  return undefined;
}

/** What the faults of a call do to its answer. */
export function answerFaultsOf(faults: readonly Fault[]): AnswerFaults {
  let result: AnswerFaults = {};
  for (const fault of faults) {
    if ((fault.kind === 'reset' || fault.kind === 'silent') && fault.done) result = { ...result, end: fault.kind };
    if (fault.kind === 'gatewayTimeout' && fault.done) result = { ...result, gatewayTimeout: true };
    if (fault.kind === 'slowBody') result = { ...result, bytesPerSecond: fault.bytesPerSecond };
    if (fault.kind === 'shortBody') result = { ...result, cutAfter: fault.bytes };
  }
  return result;
}

/** The answer of a gateway that waited too long, while the work may have been done. */
export function gatewayTimeout(): GraphRefusal {
  return new GraphRefusal(504, 'GatewayTimeout', 'The upstream service did not answer in time.');
}

const badGatewayPage = '<html><head><title>502 Bad Gateway</title></head><body><h2>Bad Gateway</h2></body></html>\r\n';

function retryAfter(seconds: number | undefined, as: 'seconds' | 'date', now: number): Record<string, string> {
  if (seconds === undefined) return {};
  return { 'retry-after': as === 'seconds' ? String(seconds) : new Date(now + seconds * 1000).toUTCString() };
}
