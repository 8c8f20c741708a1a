import { app } from '@azure/functions';

/** The smallest app there is, built as Mailroom is: what its load time is compared with. */
app.http('hello', { authLevel: 'anonymous', handler: async () => ({ body: 'Hello' }) });
