import { endpoint } from './app/endpoint.ts';

endpoint(
  'upload-create',
  { method: 'POST', route: 'uploads', role: 'Mailroom.Send' },
  () => import('../shared/http/uploads/create.ts'),
);
