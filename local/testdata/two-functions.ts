import { app } from '@azure/functions';

app.http('hello', { authLevel: 'anonymous', methods: ['GET'], handler: async () => ({ body: 'hello' }) });
app.timer('tick', { schedule: '0 * * * * *', handler: async () => undefined });
