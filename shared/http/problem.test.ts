import { describe, expect, it } from 'vitest';
import { badInput, Refusal } from '../platform/refusal.ts';
import { HttpProblem, problemResponse, toProblem } from './problem.ts';

describe('problemResponse', () => {
  it('answers problem+json with every field', () => {
    const problem = badInput([{ pointer: '/to', detail: 'is required' }]);
    const response = problemResponse(toProblem(problem));
    expect(response.status).toBe(400);
    expect(response.headers['Content-Type']).toBe('application/problem+json');
    expect(JSON.parse(response.body)).toEqual({
      title: 'Bad Request',
      status: 400,
      detail: 'The request has mistakes.',
      errors: [{ pointer: '/to', detail: 'is required' }],
    });
  });

  it('keeps headers of its own', () => {
    const response = problemResponse(new HttpProblem(503, 'Busy.', { headers: { 'Retry-After': '3' } }));
    expect(response.headers['Retry-After']).toBe('3');
  });

  it('carries further members', () => {
    const response = problemResponse(new HttpProblem(409, 'Wrong.', { extensions: { report: [1] } }));
    expect(JSON.parse(response.body)).toEqual({ title: 'Conflict', status: 409, detail: 'Wrong.', report: [1] });
  });

  it('bounds the number of errors', () => {
    const mistakes = Array.from({ length: 5000 }, (_, index) => ({ pointer: `/${index}`, detail: 'unknown field' }));
    expect(toProblem(badInput(mistakes)).errors?.length).toBe(100);
  });

  it.each([
    ['invalid', 400],
    ['notFound', 404],
    ['conflict', 409],
    ['changed', 412],
    ['tooLarge', 413],
    ['keyReused', 422],
  ] as const)('answers a refusal for %s with %i', (reason, status) => {
    const response = problemResponse(toProblem(new Refusal(reason, 'Not so.', { details: { report: [1] } })));
    expect(response.status).toBe(status);
    expect(JSON.parse(response.body)).toMatchObject({ status, detail: 'Not so.', report: [1] });
  });

  it('says nothing of an unknown error', () => {
    const response = problemResponse(toProblem(new Error('password hunter2')));
    expect(response.status).toBe(500);
    expect(response.body).not.toContain('hunter2');
  });
});
