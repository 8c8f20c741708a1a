import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { Settings } from './settings-resolution.ts';

/** Which pages of other origins may call: `CORS_ALLOWED_ORIGINS` as the platform sets it, or Host.CORS of local.settings.json. */
export interface Cors {
  /** Headers of an answer to this request, if its origin may see it. */
  headersFor(req: IncomingMessage): OutgoingHttpHeaders;
}

/** What local.settings.json says of it. */
export interface LocalCors {
  readonly origins?: string | undefined;
  readonly credentials?: boolean | undefined;
}

const originsSchema = z.array(z.string());

/** @throws one clear line when CORS_ALLOWED_ORIGINS is no JSON list. */
export function createCors(settings: Settings, local: LocalCors): Cors {
  const origins = new Set(originsOf(settings.get('CORS_ALLOWED_ORIGINS'), local.origins));
  const credentials = settings.get('CORS_SUPPORT_CREDENTIALS')?.toLowerCase() === 'true' || local.credentials === true;
  return {
    headersFor: (req) => {
      const { origin } = req.headers;
      if (origin === undefined || !(origins.has('*') || origins.has(origin))) return {};
      const headers: OutgoingHttpHeaders = {
        'access-control-allow-origin': origins.has('*') && !credentials ? '*' : origin,
        ...(origins.has('*') ? {} : { vary: 'Origin' }),
        ...(credentials ? { 'access-control-allow-credentials': 'true' } : {}),
      };
      if (!isPreflight(req)) return headers;
      const asked = req.headers['access-control-request-headers'];
      headers['access-control-allow-methods'] = req.headers['access-control-request-method'];
      if (asked !== undefined) headers['access-control-allow-headers'] = asked;
      return headers;
    },
  };
}

/** A browser that asks before it calls; answered by the host for every path, before keys are looked at. */
export function isPreflight(req: IncomingMessage): boolean {
  const { origin, 'access-control-request-method': method } = req.headers;
  return req.method === 'OPTIONS' && origin !== undefined && method !== undefined;
}

function originsOf(setting: string | undefined, local: string | undefined): readonly string[] {
  if (setting === undefined) return (local ?? '').split(',').map((origin) => origin.trim().replace(/\/$/, ''));
  try {
    return originsSchema.parse(JSON.parse(setting));
  } catch {
    throw new Error('CORS_ALLOWED_ORIGINS must be a JSON list of origins');
  }
}
