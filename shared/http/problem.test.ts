import { describe, expect, it } from 'vitest';
import { badInput, HttpProblem, problemResponse, toProblem } from './problem.ts';

describe('problemResponse', () => {
  it('answers problem+json with every field', () => {
    const problem = badInput([{ pointer: '/to', detail: 'is required' }]);
    const response = problemResponse(problem);
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
    expect(badInput(mistakes).errors?.length).toBe(100);
  });

  it('tells nothing of an unknown error', () => {
    const response = problemResponse(toProblem(new Error('password hunter2')));
    expect(response.status).toBe(500);
    expect(response.body).not.toContain('hunter2');
  });
});
