import { useState } from 'preact/hooks';
import { TextField, type TextFieldProps } from './field.tsx';

export interface ListFieldProps extends Omit<TextFieldProps, 'value' | 'onChange' | 'rows' | 'type'> {
  readonly values: readonly string[];
  readonly onChange: (values: readonly string[]) => void;
}

const listOf = (text: string) => text.split(/[\s,]+/).filter(Boolean);

/** Several words with blanks or commas between them. What separates them stays as it was typed while more is to come. */
export function ListField({ values, onChange, ...field }: ListFieldProps) {
  const [text, setText] = useState(() => values.join(' '));
  const change = (next: string) => {
    setText(next);
    onChange(listOf(next));
  };
  const isTyped = listOf(text).join() === values.join();
  return <TextField {...field} value={isTyped ? text : values.join(' ')} onChange={change} />;
}
