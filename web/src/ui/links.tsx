/** Links inside the app, typed by the routes: an address that does not exist does not compile. */
import { Anchor, Button, type AnchorProps, type ButtonProps } from '@mantine/core'
import { createLink } from '@tanstack/react-router'
import { forwardRef, type AnchorHTMLAttributes } from 'react'

type Native<Own> = Own & Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof Own>

const PlainAnchor = forwardRef<HTMLAnchorElement, Native<AnchorProps>>(function PlainAnchor(props, ref) {
  return <Anchor ref={ref} {...props} />
})

const PlainButton = forwardRef<HTMLAnchorElement, Native<ButtonProps>>(function PlainButton(props, ref) {
  return <Button ref={ref} component="a" {...props} />
})

export const TextLink = createLink(PlainAnchor)
export const ButtonLink = createLink(PlainButton)
