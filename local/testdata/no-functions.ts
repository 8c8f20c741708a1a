import { HttpRequest } from '@azure/functions';

console.assert(new HttpRequest({ method: 'GET', url: 'http://localhost' }).method === 'GET');
