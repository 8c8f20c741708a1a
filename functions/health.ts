import { app, type HttpRequest, type HttpResponseInit, type InvocationContext } from '@azure/functions';

/** A health probe must have its answer soon. */
const probeMs = 10_000;

app.http('health', { methods: ['GET'], route: 'health', authLevel: 'anonymous', handler: answer });

async function answer(request: HttpRequest, context: InvocationContext): Promise<HttpResponseInit> {
  const { inInvocation } = await import('./invocation-log.ts');
  return await inInvocation(context, async () => {
    const { checkHealth } = await import('./health-check.ts');
    const detail = await hasKey(request);
    const health = await checkHealth(AbortSignal.timeout(probeMs), { detail });
    return {
      status: health.status === 'healthy' ? 200 : 503,
      headers: { 'Cache-Control': 'no-store' },
      jsonBody: detail ? health : { status: health.status },
    };
  });
}

/**
 * Whether the caller has a key. Only the host knows its keys, and on an anonymous route it lets everybody in: so the
 * key is tried on a route that needs one.
 */
async function hasKey(request: HttpRequest): Promise<boolean> {
  const key = request.headers.get('x-functions-key') ?? request.query.get('code');
  const { ownOrigin } = await import('../shared/platform/environment.ts');
  const origin = ownOrigin();
  if (key === null || origin === undefined) {
    return false;
  }
  try {
    const url = new URL('/api/health/key', origin);
    const { status } = await fetch(url, { headers: { 'x-functions-key': key }, signal: AbortSignal.timeout(probeMs) });
    return status === 204;
  } catch {
    return false;
  }
}
