"""Suggested flows."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0001_accounts'),
        ('flow_sessions', '0002_pauses'),
        ('flows', '0002_flow_bindings'),
        ('psa', '0015_callback_checks'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Suggestion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ticket_id', models.CharField(max_length=40)),
                ('record_type', models.CharField(max_length=10)),
                ('summary', models.CharField(blank=True, max_length=255)),
                ('board_name', models.CharField(blank=True, max_length=100)),
                ('company_name', models.CharField(blank=True, max_length=255)),
                ('url', models.CharField(blank=True, max_length=500)),
                ('why', models.CharField(max_length=20)),
                ('flows', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('new', 'New'), ('seen', 'Seen'), ('accepted', 'Accepted'), ('dismissed', 'Dismissed'), ('gone', 'Gone')], default='new', max_length=10)),
                ('decided_by_name', models.CharField(blank=True, max_length=200)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='suggestions', to='accounts.account')),
                ('chosen', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='flows.flow')),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='psa.connection')),
                ('for_user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('session', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='flow_sessions.flowsession')),
            ],
            options={
                'ordering': ['-changed_at', '-id'],
                'indexes': [models.Index(fields=['account', 'for_user', 'state'], name='suggestion_of_engineer'), models.Index(fields=['account', 'chosen', 'state'], name='suggestion_of_flow')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('for_user__isnull', False)), fields=('connection', 'ticket_id', 'for_user'), name='suggestion_one_per_engineer'), models.UniqueConstraint(condition=models.Q(('for_user', None)), fields=('connection', 'ticket_id'), name='suggestion_one_for_all'), models.CheckConstraint(condition=models.Q(('state__in', ['new', 'seen', 'accepted', 'dismissed', 'gone'])), name='suggestion_state_known')],
            },
        ),
    ]
