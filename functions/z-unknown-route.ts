import { app } from '@azure/functions';
import { openHandler } from './app/endpoint.ts';

/**
 * Answers what no route takes. The host tries functions in the order of their names (azure-functions-host,
 * FunctionMetadataManager), so this one must have the last. Everybody may call it: a key of one function says nothing
 * about paths that are none, and the routes are no secret.
 */
app.http('z-unknown-route', {
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  route: '{*path}',
  authLevel: 'anonymous',
  handler: openHandler(() => import('../shared/http/unknown-route.ts')),
});
