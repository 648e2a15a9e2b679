"""Owns the addresses of the tab "Members" of a connection."""

from django.urls import path

from integrations_ui.views import invite, members

urlpatterns = [
    path("<int:connection_id>/members/", members.members, name="members"),
    path("<int:connection_id>/members/plan/", members.members_plan, name="members-plan"),
    path("<int:connection_id>/members/free/", members.members_free, name="members-free"),
    path("<int:connection_id>/members/match/", members.members_match, name="members-match"),
    path("<int:connection_id>/members/news/", members.members_news, name="members-news"),
    path("<int:connection_id>/members/invite/", invite.members_invite, name="members-invite"),
    path("<int:connection_id>/members/<int:user_id>/", members.member_choose, name="member-choose"),
    path("<int:connection_id>/members/<int:user_id>/clear/", members.member_clear, name="member-clear"),
]
