/** Every URL of the app, in one place. Each screen is a chunk of its own. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router'

import { ApiError } from './api/problem'
import { queryClient } from './api/query-client'
import { sessionQuery } from './api/session'
import { isAgent, isKind, isView, type InboxSearch } from './lib/inbox-search'
import { NotFound, RouteError } from './shell/RouteError'
import { Shell } from './shell/Shell'

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound, errorComponent: RouteError })

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search: Record<string, unknown>): { next?: string } =>
    typeof search['next'] === 'string' && /^\/(?![/\\])/.test(search['next']) ? { next: search['next'] } : {},
  component: lazyRouteComponent(() => import('./features/session/SignInPage'), 'SignInPage'),
})

const link = createRoute({
  getParentRoute: () => root,
  path: '/link',
  component: lazyRouteComponent(() => import('./features/session/LinkPage'), 'LinkPage'),
})

const app = createRoute({
  getParentRoute: () => root,
  id: 'app',
  component: Shell,
  beforeLoad: async ({ location }) => {
    try {
      await queryClient.ensureQueryData(sessionQuery)
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        throw redirect({ to: '/sign-in', search: location.href === '/' ? {} : { next: location.href } })
      }
      throw error
    }
  },
})

const portfolio = createRoute({
  getParentRoute: () => app,
  path: '/',
  component: lazyRouteComponent(() => import('./features/portfolio/PortfolioPage'), 'PortfolioPage'),
})

const brand = createRoute({
  getParentRoute: () => app,
  path: '/brands/$brandId',
  validateSearch: (search: Record<string, unknown>): { metric?: string } =>
    typeof search['metric'] === 'string' ? { metric: search['metric'] } : {},
  component: lazyRouteComponent(() => import('./pages/BrandPage'), 'BrandPage'),
})

const inbox = createRoute({
  getParentRoute: () => app,
  path: '/recommendations',
  validateSearch: (search: Record<string, unknown>): InboxSearch => ({
    ...(isView(search['view']) ? { view: search['view'] } : {}),
    ...(isKind(search['kind']) ? { kind: search['kind'] } : {}),
    ...(isAgent(search['agent']) ? { agent: search['agent'] } : {}),
    ...(typeof search['brand'] === 'string' ? { brand: search['brand'] } : {}),
    ...(typeof search['selected'] === 'string' ? { selected: search['selected'] } : {}),
  }),
  component: lazyRouteComponent(() => import('./features/recommendations/InboxPage'), 'InboxPage'),
})

const agents = createRoute({
  getParentRoute: () => app,
  path: '/agents',
  component: lazyRouteComponent(() => import('./pages/AgentsPage'), 'AgentsPage'),
})

const plans = createRoute({
  getParentRoute: () => app,
  path: '/plans',
  component: lazyRouteComponent(() => import('./features/plans/PlansPage'), 'PlansPage'),
})

const whatIf = createRoute({
  getParentRoute: () => app,
  path: '/plans/what-if',
  component: lazyRouteComponent(() => import('./features/plans/WhatIfPage'), 'WhatIfPage'),
})

const plan = createRoute({
  getParentRoute: () => app,
  path: '/plans/$planId',
  component: lazyRouteComponent(() => import('./features/plans/PlanPage'), 'PlanPage'),
})

const synergies = createRoute({
  getParentRoute: () => app,
  path: '/synergies',
  component: lazyRouteComponent(() => import('./features/synergies/SynergiesPage'), 'SynergiesPage'),
})

const gaps = createRoute({
  getParentRoute: () => app,
  path: '/gaps',
  validateSearch: (search: Record<string, unknown>): { brand?: string } =>
    typeof search['brand'] === 'string' ? { brand: search['brand'] } : {},
  component: lazyRouteComponent(() => import('./features/gaps/GapsPage'), 'GapsPage'),
})

const imports = createRoute({
  getParentRoute: () => app,
  path: '/imports',
  component: lazyRouteComponent(() => import('./features/imports/ImportsPage'), 'ImportsPage'),
})

const tree = root.addChildren([
  signIn,
  link,
  app.addChildren([portfolio, brand, inbox, agents, plans, whatIf, plan, synergies, gaps, imports]),
])

export const router = createRouter({ routeTree: tree, defaultPreload: 'intent', defaultPreloadStaleTime: 0, scrollRestoration: true })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
