/** Paths below the registry's URL for calls about a replica, with `{id}`, `{host}` and `{port}` of the replica. */
export interface RegistryForm {
  /** Called with PUT for each request that was sent to the replica. */
  readonly increment: string;
  /** Called with DELETE when the replica does not work. */
  readonly deregister: string;
}

/** Both releases of the stack's registry: that of the original gateway's document, and the newer one. */
const STACK_FORMS: readonly RegistryForm[] = [
  { increment: '/increment?service_id={host}', deregister: '/deregister?service_id={host}' },
  { increment: '/services/increment?id={id}', deregister: '/deregister?id={host}' },
];

/** The forms that a registry may understand, in the order in which they are tried. A given template is part of each. */
export function registryForms({
  increment,
  deregister,
}: Readonly<{ [part in keyof RegistryForm]?: string | undefined }>): readonly RegistryForm[] {
  if (increment !== undefined && deregister !== undefined) return [{ increment, deregister }];
  return STACK_FORMS.map((form) => ({
    increment: increment ?? form.increment,
    deregister: deregister ?? form.deregister,
  }));
}
