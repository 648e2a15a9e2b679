"""Owns the pages under /integrations/, one module per area. A view calls services and selectors only.

Every view is wrapped by one of `integrations_ui.access`: it says who may open the page.
"""
